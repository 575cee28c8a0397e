"""Reads serving engines in a thread of its own: one that stalls holds up neither the cards nor the sending."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from stanchion_gpu import engines, processes
from stanchion_gpu.meters import EngineMeter
from stanchion_gpu.records import EngineReading, Owner
from stanchion_gpu.settings import Engine
from stanchion_gpu.vocabularies import VOCABULARIES

MOST_ENGINES = 16
# A discovered engine that is gone is told as "not up" this long, then forgotten.
FORGOTTEN_AFTER_S = 300.0


@dataclass(frozen=True, slots=True)
class Watched:
    """The last reading of an engine, with its labels."""

    engine: Engine
    reading: EngineReading
    read_s: float


class Watch:
    """`look` names the engines for the next round; `readings` are those of the last one."""

    def __init__(self, configured: Iterable[Engine], every_s: float, stop: threading.Event) -> None:
        self._configured = {one.endpoint: one for one in configured}
        self._every_s, self._stop = every_s, stop
        self._found: dict[str, tuple[Engine, float]] = {}
        self._meters: dict[str, EngineMeter] = {}
        self._last: dict[str, Watched] = {}
        self._guard = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="stanchion-gpu-engines", daemon=True)
        self.errors = 0

    def start(self) -> None:
        self._thread.start()

    def look(self, found: Iterable[Engine]) -> None:
        """Engines that were discovered just now; a configured one at the same address goes before."""
        now_s = time.monotonic()
        with self._guard:
            self._found.update({one.endpoint: (one, now_s) for one in found if one.endpoint not in self._configured})
            self._found = {key: one for key, one in self._found.items() if now_s - one[1] < FORGOTTEN_AFTER_S}

    def readings(self) -> list[Watched]:
        """One that could not be read again for three rounds is not up."""
        oldest_s = time.monotonic() - max(3 * self._every_s, 3 * engines.WHOLE_S)
        with self._guard:
            return [one if one.read_s >= oldest_s else _stale(one) for one in self._last.values()]

    def read_all(self) -> None:
        wanted = self._wanted()
        with self._guard:
            self._last = {key: one for key, one in self._last.items() if key in wanted}
        self._meters = {key: meter for key, meter in self._meters.items() if key in wanted}
        for endpoint, engine in wanted.items():
            if not self._stop.is_set():
                self._read(endpoint, engine)

    def _read(self, endpoint: str, engine: Engine) -> None:
        reading = engines.read(engine.kind, endpoint, engine.path)
        self.errors += not reading.is_up
        told = self._meters.setdefault(endpoint, EngineMeter()).since_start(reading)
        with self._guard:
            self._last[endpoint] = Watched(engine, told, time.monotonic())

    def _wanted(self) -> Mapping[str, Engine]:
        with self._guard:
            every = {**self._configured, **{key: engine for key, (engine, _at) in self._found.items()}}
        return dict(list(every.items())[:MOST_ENGINES])

    def _run(self) -> None:
        while not self._stop.is_set():
            began_s = time.monotonic()
            try:
                self.read_all()
            except Exception:  # the border of one round; the count is sent
                self.errors += 1
            self._stop.wait(max(0.5, began_s + self._every_s - time.monotonic()))


def _stale(one: Watched) -> Watched:
    reading = EngineReading(
        one.reading.engine, one.reading.endpoint, False, one.reading.model, reason="not read lately"
    )
    return Watched(one.engine, reading, one.read_s)


def discovered(owners: Mapping[int, Owner]) -> list[Engine]:
    """Engines among the processes on the cards: at the port that the command line names, the engine's usual one, or the
    lowest, of those that the process or its relatives listen on. Labels are those of the process on the card."""
    found: dict[str, Engine] = {}
    for pid, owner in owners.items():
        if owner.engine is None:
            continue
        family = processes.family(pid)
        commands = [processes.command(member) for member in family]
        ports = sorted({port for listed in processes.listening_ports(family).values() for port in listed})
        usual = (*processes.named_ports(commands), VOCABULARIES[owner.engine].port)
        port = next((one for one in usual if one in ports), ports[0] if ports else None)
        if port is not None:
            endpoint = f"127.0.0.1:{port}"
            known = found.get(endpoint)
            labels = dict(owner.labels) or (known.labels if known else {})
            parallel = processes.tensor_parallel(commands)
            found[endpoint] = Engine(owner.engine, endpoint, labels, tensor_parallel=parallel)
    return list(found.values())
