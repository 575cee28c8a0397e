"""Reads cards each second, in a thread of its own: a call into a driver that hangs may never come back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from stanchion_gpu import meters, nvml
from stanchion_gpu.sources import Source, open_source

# Cards are looked for again this often while there are none.
LOOK_AGAIN_S = 30.0
# Without a sample for so long, or for three usual intervals, cards are said to have failed.
SILENCE_S = 15.0
OPENING_LASTS_S = 10.0


class Sampler:
    """`meters` may be read by whoever holds `guard`; they are filled by the thread."""

    def __init__(self, wanted: str, sample_s: float, say: Callable[[str], None], stop: threading.Event) -> None:
        self._wanted, self._sample_s, self._say, self._stop = wanted, sample_s, say, stop
        self._source: Source | None = None
        self._failures = 0
        self._sampled_s = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="stanchion-gpu-read", daemon=True)
        self._opened = threading.Event()
        self.refusal: nvml.NoDriver | None = None
        self.guard = threading.Lock()
        self.meters: dict[str, meters.CardMeter] = {}
        self.late_samples = 0

    @property
    def source_name(self) -> str:
        return "" if self._source is None else self._source.name

    @property
    def errors(self) -> int:
        return self._failures + (0 if self._source is None else self._source.errors)

    def start(self) -> None:
        """Waits until cards were found or not (`refusal` says why not), at most OPENING_LASTS_S."""
        self._thread.start()
        if not self._opened.wait(OPENING_LASTS_S):
            self._say(f"the driver has not answered for {OPENING_LASTS_S:.0f} s; heartbeats go on without cards")

    def once(self) -> None:
        """A sample now, in this thread. NoDriver when there is no source."""
        if self._source is None:
            self._source = open_source(self._wanted)
        self._sample(self._source)

    def close(self) -> None:
        """After `stop` was set: a last sample is taken, and the driver let go, unless it hangs."""
        self._thread.join(2.0)

    def judge_silence(self) -> None:
        """Cards of a driver that hangs are lost. To be called by who holds `guard`, before reading the meters."""
        source = self._source
        every_s = self._sample_s if source is None else max(self._sample_s, source.least_s)
        if self.meters and time.monotonic() - self._sampled_s > max(SILENCE_S, 3 * every_s):
            for meter in self.meters.values():
                self._tell(meter, meter.lose)

    def _run(self) -> None:
        while not self._stop.is_set() and not self._open():
            self._stop.wait(LOOK_AGAIN_S)
        source = self._source
        if source is None:
            return
        every_s = max(self._sample_s, source.least_s)
        next_s = time.monotonic()
        while not self._stop.is_set():
            self._guarded(source)
            now_s, next_s = time.monotonic(), next_s + every_s
            if now_s > next_s:  # a reading that took too long is not made up for
                self.late_samples += int((now_s - next_s) / every_s) + 1
                next_s = now_s
            self._stop.wait(next_s - now_s)
        self._guarded(source)
        source.close()

    def _open(self) -> bool:
        try:
            self._source = open_source(self._wanted)
            self._say(f"reading cards by {self._source.name}")
        except nvml.NoDriver as error:
            if self.refusal is None or str(error) != str(self.refusal):
                self._say(f"no GPU is read: {error}; looking again every {LOOK_AGAIN_S:.0f} s")
            self.refusal = error
        self._opened.set()
        return self._source is not None

    def _guarded(self, source: Source) -> None:
        try:
            self._sample(source)
        except Exception as error:  # the border of one tick
            self._failures += 1
            if self._failures in (1, 10, 100, 1000):
                self._say(f"a reading failed ({self._failures} so far): {type(error).__name__}: {error}")

    def _sample(self, source: Source) -> None:
        samples = source.read()
        with self.guard:
            before = {key: meter.state for key, meter in self.meters.items()}
            self._sampled_s = time.monotonic()
            meters.add_all(self.meters, samples, self._sampled_s)
            for key, meter in self.meters.items():
                if before.get(key, meter.state) is not meter.state:
                    self._say(f"{meter.card.name} ({key}) is {meter.state.value}, was {before[key].value}")

    def _tell(self, meter: meters.CardMeter, change: Callable[[], None]) -> None:
        before = meter.state
        change()
        if meter.state is not before:
            self._say(f"{meter.card.name} ({meter.card.uuid}) is {meter.state.value}: the driver does not answer")
