"""How good the answers are: what each scorer says of a window, beside what is known of the scorer and asked of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal
from uuid import UUID

from stanchion_server.kernel.ids import span_id_to_hex
from stanchion_server.quality.records import Lane
from stanchion_server.quality.sampling import Rules
from stanchion_server.quality.scorers import Direction, judged, registry
from stanchion_server.quality.scorers.known import Known
from stanchion_server.quality.selectors import settings
from stanchion_server.quality.selectors.distributions import Distribution, ScoreQuery, distributions
from stanchion_server.quality.selectors.scores import ScoreView
from stanchion_server.traces.selectors import reading

State = Literal["on", "off", "absent", "external"]


@dataclass(frozen=True, slots=True)
class Standing:
    """One scorer and its scores of a window. `found` is the version with most scores, `other_scores` counts those of
    the others, which are never added to it. `usual_ratio` is the share it sees where the project says nothing. `state`
    "external" is a scorer that lives outside: its scores were sent."""

    scorer: str
    title: str
    family: str
    lane: Lane | None
    direction: Direction
    threshold: float | None
    usual_ratio: float | None
    blind_to: str
    state: State
    absent: str
    found: Distribution | None
    other_scores: int


@dataclass(frozen=True, slots=True)
class Shown:
    """A score with the beginnings of its call's texts."""

    score: ScoreView
    prompt: str
    answer: str


def standings(
    project_id: int, start: datetime, end: datetime, filters: Mapping[str, str] | None = None
) -> tuple[Standing, ...]:
    """By family, those with scores first. Raises SenderError for a window or filter that cannot be answered."""
    rows: dict[str, list[Distribution]] = {}
    for row in distributions(project_id, ScoreQuery(start, end, filters=filters or {})):
        rows.setdefault(row.scorer, []).append(row)
    rules = settings.rules(project_id)
    known = {one.id: one for one in registry.known(rules.parameters("")) if one.id != judged.SHARED}
    found = [_standing(name, known.get(name), rows.get(name, ()), rules) for name in {**known, **rows}]
    return tuple(sorted(found, key=lambda one: (one.family, one.found is None, one.title)))


def _standing(name: str, known: Known | None, rows: Sequence[Distribution], rules: Rules) -> Standing:
    best = max(rows, key=lambda row: (row.scores, row.scorer_version), default=None)
    others = sum(row.scores for row in rows) - (best.scores if best else 0)
    if known is None:
        return replace(outside(name), found=best, other_scores=others)
    absent = known.availability() or ""
    state: State = "absent" if absent else "on" if rules.of(name, "").is_on else "off"
    return Standing(
        name, known.title, known.family, known.lane, known.direction, known.threshold, known.usual_ratio,
        known.blind_to, state, absent, best, others,
    )  # fmt: skip


def outside(name: str) -> Standing:
    """A scorer that this server does not run: its scores were sent by others, or it was removed."""
    return Standing(name, name, "sent from outside", None, "high_is_good", None, None, "", "external", "", None, 0)


def shown(project_id: int, scores: Sequence[ScoreView]) -> tuple[Shown, ...]:
    """In the same order. Empty texts for calls that are gone."""
    previews = _previews(project_id, scores)
    return tuple(Shown(one, *previews.get((one.trace_id, one.span_id), ("", ""))) for one in scores)


def _previews(project_id: int, scores: Sequence[ScoreView]) -> dict[tuple[str, str], tuple[str, str]]:
    if not scores:
        return {}
    times = [one.start_time for one in scores]
    with reading.bounded():
        found = reading.rows(
            "SELECT trace_id, span_id, input_preview, output_preview FROM llm_calls WHERE project_id = %s"
            " AND trace_id = ANY (%s::uuid[]) AND start_time BETWEEN %s AND %s",
            (project_id, [UUID(hex=one.trace_id) for one in scores], min(times), max(times)),
        )
    return {(row[0].hex, span_id_to_hex(row[1])): (row[2], row[3]) for row in found}
