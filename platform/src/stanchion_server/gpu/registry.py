"""Who sends and what is there, written in the transaction that stores the points: it is known as soon as they are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from stanchion_server.gpu import identity, windows
from stanchion_server.ingest.records import PointRecord
from stanchion_server.kernel import db
from stanchion_server.traces.store import Written
from stanchion_wire import gpu


@dataclass
class _Told:
    """The rows of one request, by their key. A row's `first` and `seen` are times."""

    agents: dict[tuple[str, str], dict[str, Any]]
    devices: dict[str, dict[str, Any]]
    slots: set[datetime]


@dataclass
class _Series:
    """The points of one series in a request: they differ in time and value only."""

    newest: PointRecord
    first: datetime
    slots: set[datetime]


def of_written(cursor: db.CursorType, written: Written) -> None:
    """The step after `traces.store`: agents and cards of its points, and marks of the slots to be summed. Points that
    were there already change nothing: sums are made anew from what is stored."""
    series = _by_series(point for point in written.batch.points if identity.is_about_hardware(point.name))
    if not series:
        return
    told = _Told({}, {}, set())
    for each in series.values():
        _read(each, told, written.received_at)
    cursor.execute(_AGENTS, (written.project_id, _rows(told.agents.values())))
    cursor.execute(_DEVICES, (written.project_id, _rows(told.devices.values())))
    marks = {slot for own in told.slots for slot in windows.touched(own + windows.SLOT)}
    cursor.execute(
        "INSERT INTO gpu_dirtyslot (project_id, slot) SELECT %s, unnest(%s::timestamptz[])",
        (written.project_id, sorted(marks)),
    )


def _by_series(points: Iterable[PointRecord]) -> dict[int, _Series]:
    found: dict[int, _Series] = {}
    for point in points:
        known = found.get(point.series_id)
        if known is None:
            known = found[point.series_id] = _Series(point, point.time, set())
        elif point.time >= known.newest.time:
            known.newest = point
        else:
            known.first = min(known.first, point.time)
        known.slots.add(windows.slot_of(point.time))
    return found


def _read(series: _Series, told: _Told, received_at: datetime) -> None:
    point = series.newest
    resource = point.resource.attributes
    attributes = {**resource, **orjson.loads(point.attributes_json)}
    host = identity.host_of(resource)
    device = identity.device_of(point.name, attributes, host)
    if not device and not point.name.startswith(("stanchion.agent.", "stanchion.engine.")):
        return
    service, version = identity.told(resource, "service.name"), identity.told(resource, "service.version")
    agent = told.agents.setdefault((host, service), {"host": host, "service": service, "version": version})
    _see(agent, series, received_at)
    if device or point.name.startswith("stanchion.engine."):
        told.slots |= series.slots
    if device:
        known = told.devices.setdefault(device, {"hw_id": device, "host": host})
        known.update(_facts(point, attributes))
        _see(known, series, received_at)


def _see(row: dict[str, Any], series: _Series, received_at: datetime) -> None:
    """A clock that is ahead is not believed: nothing is seen after it has arrived."""
    row["first"] = min(row.get("first", received_at), series.first)
    row["seen"] = max(row.get("seen", row["first"]), min(series.newest.time, received_at))


def _facts(point: PointRecord, attributes: dict[str, Any]) -> dict[str, Any]:
    names = {
        "name": (gpu.HW_NAME, "name"), "model": (gpu.HW_MODEL, "model"), "vendor": (gpu.HW_VENDOR, "vendor"),
        "parent": (gpu.HW_PARENT, "parent"), "driver_version": (gpu.HW_DRIVER_VERSION, "driver_version"),
        "deployment": (gpu.DEPLOYMENT,), "job_kind": (gpu.JOB_KIND,), "run_id": (gpu.RUN_ID,),
    }  # fmt: skip
    if point.name in (gpu.PROCESS_MEMORY, gpu.PROCESS_UTILIZATION):  # their labels are the process's
        return {}
    found: dict[str, Any] = {key: identity.told(attributes, *known) for key, known in names.items()}
    found = {key: value for key, value in found.items() if value}
    if point.name == gpu.MEMORY_LIMIT and point.value is not None:
        found["memory_bytes"] = int(point.value)
    return found


def _rows(rows: Iterable[dict[str, Any]]) -> str:
    return orjson.dumps(list(rows)).decode()


# Rows are written in the order of their key, so that two requests wait for each other instead of dead-locking.
_AGENTS = """
INSERT INTO gpu_gpuagent AS a (project_id, host, service, version, first_heard_at, last_heard_at)
SELECT %s, host, service, version, first, seen FROM jsonb_to_recordset(%s::jsonb)
    AS r(host text, service text, version text, first timestamptz, seen timestamptz) ORDER BY host, service
ON CONFLICT (project_id, host, service) DO UPDATE SET
    first_heard_at = least(a.first_heard_at, excluded.first_heard_at),
    version = CASE WHEN excluded.last_heard_at >= a.last_heard_at THEN excluded.version ELSE a.version END,
    retired_at = CASE WHEN excluded.last_heard_at > a.retired_at THEN NULL ELSE a.retired_at END,
    last_heard_at = greatest(a.last_heard_at, excluded.last_heard_at)
"""
_FACTS = ("host", "name", "model", "vendor", "parent", "driver_version", "deployment", "job_kind", "run_id")
_NEWER = "excluded.last_seen_at >= d.last_seen_at"
_DEVICES = f"""
INSERT INTO gpu_gpudevice AS d (project_id, hw_id, first_seen_at, last_seen_at, memory_bytes, {", ".join(_FACTS)})
SELECT %s, hw_id, first, seen, memory_bytes, {", ".join(f"coalesce({name}, '')" for name in _FACTS)}
FROM jsonb_to_recordset(%s::jsonb) AS r(hw_id text, first timestamptz, seen timestamptz, memory_bytes bigint,
    {", ".join(f"{name} text" for name in _FACTS)}) ORDER BY hw_id
ON CONFLICT (project_id, hw_id) DO UPDATE SET
    first_seen_at = least(d.first_seen_at, excluded.first_seen_at),
    memory_bytes = coalesce(CASE WHEN {_NEWER} THEN excluded.memory_bytes END, d.memory_bytes),
    {", ".join(f"{n} = CASE WHEN {_NEWER} AND excluded.{n} <> '' THEN excluded.{n} ELSE d.{n} END" for n in _FACTS)},
    last_seen_at = greatest(d.last_seen_at, excluded.last_seen_at)
"""  # noqa: S608 - names of our own
