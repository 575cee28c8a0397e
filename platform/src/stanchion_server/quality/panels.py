"""The scorers of a project, built once per process for each set of parameters."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stanchion_server.quality.sampling import Offer
from stanchion_server.quality.scorers import Scorer, registry
from stanchion_server.quality.scorers.known import Known

MAX_PANELS = 16


@dataclass(frozen=True, slots=True)
class Panel:
    """`offers` are all scorers there are, `scorers` those that can run here, `absent` says why the others cannot."""

    offers: tuple[Offer, ...]
    scorers: Mapping[str, Scorer]
    absent: Mapping[str, str]


class Panels:
    """The panels that were used last. Building waits for nobody: two threads may build the same one once."""

    def __init__(self) -> None:
        self._held: OrderedDict[str, Panel] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, parameters: Mapping[str, Mapping[str, Any]]) -> Panel:
        name = _name(parameters)
        with self._lock:
            if name in self._held:
                self._held.move_to_end(name)
                return self._held[name]
        panel = _built(parameters)
        self.hold(parameters, panel)
        return panel

    def hold(self, parameters: Mapping[str, Mapping[str, Any]], panel: Panel) -> None:
        """Makes this the panel of these parameters."""
        with self._lock:
            self._held[_name(parameters)] = panel
            while len(self._held) > MAX_PANELS:
                self._held.popitem(last=False)

    def forget(self) -> None:
        with self._lock:
            self._held.clear()


def _name(parameters: Mapping[str, Mapping[str, Any]]) -> str:
    return json.dumps(parameters, sort_keys=True, default=str)


def _built(parameters: Mapping[str, Mapping[str, Any]]) -> Panel:
    found = registry.every(parameters)
    return Panel(
        offers=tuple(
            Offer(known.id, known.lane, known.usual_ratio) for known, built in found if _is_meant(known, built)
        ),
        scorers={known.id: built for known, built in found if not isinstance(built, str)},
        absent={known.id: built for known, built in found if isinstance(built, str)},
    )


def _is_meant(known: Known, built: Scorer | str) -> bool:
    """What cannot run and is meant for no call is nothing to miss: what only holds the judges' settings."""
    return bool(known.usual_ratio) or not isinstance(built, str)


panels = Panels()
