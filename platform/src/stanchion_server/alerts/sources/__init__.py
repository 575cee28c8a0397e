"""Where readings come from: one module per source. A source whose readings need stages above this one is handed its
reader by the flow (`guard_gaps`)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType

from stanchion_server.alerts.records import Ask
from stanchion_server.alerts.sources import agents, budgets, calls, counted, drifting, fleet, rates, scores, watcher
from stanchion_server.alerts.sources.asking import Answer, Failed, Reader, Recorded

READERS: Mapping[str, Reader] = MappingProxyType(
    {
        "calls": calls.read,
        "scores": scores.read,
        "guard": counted.GUARD.reader(),
        "feedback": counted.FEEDBACK.reader(),
        "ingest": counted.INGEST.reader(),
        "watcher": watcher.read,
        "drift": drifting.read,
        "gpu": agents.read,
        "gpu_cards": fleet.CARDS,
        "gpu_engines": fleet.ENGINES,
        "budgets": budgets.read,
        "rate_limits": rates.read,
    }
)
RECORDED: Mapping[str, Recorded] = MappingProxyType(
    {
        "calls": calls.RECORDED,
        "scores": scores.RECORDED,
        "guard": counted.GUARD.recorded(),
        "feedback": counted.FEEDBACK.recorded(),
        "ingest": counted.INGEST.recorded(),
    }
)
"""Those that can say what a reading was; of the others only the newest is known."""


def answers(readers: Mapping[str, Reader], project_id: int, asks: Iterable[Ask], now: datetime) -> dict[Ask, Answer]:
    """An answer to every question; one whose source is not connected here fails."""
    by_source: defaultdict[str, list[Ask]] = defaultdict(list)
    for ask in dict.fromkeys(asks):
        by_source[ask.source].append(ask)
    found: dict[Ask, Answer] = {}
    for source, members in by_source.items():
        reader = readers.get(source)
        if reader is None:
            found.update(dict.fromkeys(members, Failed(f"the source {source} is not connected")))
        else:
            found.update(reader(project_id, members, now))
    return found
