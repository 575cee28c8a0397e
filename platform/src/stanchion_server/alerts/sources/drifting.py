"""Readings of drift: what the newest run of each monitor found, and measures that left their band."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from stanchion_server.alerts.records import Ask, Labels, Readings, Sample
from stanchion_server.alerts.sources.asking import Answer
from stanchion_server.drift import readings as bands
from stanchion_server.drift import selectors


def read(project_id: int, asks: Sequence[Ask], now: datetime) -> Mapping[Ask, Answer]:
    """Of now, whatever the window: drift is judged over its own windows."""
    return {
        ask: _anomalies(project_id, now) if ask.measure == "anomalies" else _drifted(project_id, ask) for ask in asks
    }


def _anomalies(project_id: int, now: datetime) -> Readings:
    told = [one for one in bands.readings(project_id, now) if one.reading.verdict != "not_enough_data"]
    return {(): Sample(float(sum(one.reading.verdict == "anomaly" for one in told)), len(told))}


def _drifted(project_id: int, ask: Ask) -> Readings:
    wanted = dict(ask.where).get("monitor")
    found: dict[Labels, Sample] = {}
    total = 0
    for watched in selectors.monitors(project_id):
        monitor, run = watched.monitor, watched.last
        if run is None or monitor.is_paused or wanted not in (None, monitor.name) or run.verdict == "not_enough_data":
            continue
        total += run.drifted
        found[(("monitor", monitor.name),)] = Sample(float(run.drifted), run.calls_current or 0)
    if ask.by:
        return found
    return {(): Sample(float(total) if found else None, sum(sample.samples for sample in found.values()))}
