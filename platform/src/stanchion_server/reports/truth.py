"""How right a cheap scorer is: its scores beside a heavier scorer's, the inline guard's verdict and people's word on
the same calls.

People's word is a rating named like the scorer or its family (negative: the bad thing is there), or the review of a
guard decision in which the same detector ran.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from stanchion_server.feedback.ratings import Tone
from stanchion_server.ingest.records import Status
from stanchion_server.quality import calibration, sampling, weak_labels
from stanchion_server.quality.calibration import Correlation
from stanchion_server.quality.sampling import Rules
from stanchion_server.quality.scorers import registry
from stanchion_server.quality.scorers.known import Known
from stanchion_server.quality.selectors import settings
from stanchion_server.quality.weak_labels import Joined, Proposal, Quality
from stanchion_server.traces.selectors import reading
from stanchion_wire.decisions import ACTIONS

MAX_ROWS = 20_000
"""Calls that both judged, the newest: a page does not wait for more."""
WANTED_RATES = (0.005, 0.01, 0.05)


@dataclass(frozen=True, slots=True)
class Window:
    project_id: int
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class People:
    """What people said of calls that the scorer scored, however they chose them: of `flagged` ones `right` were bad
    indeed; of `passed` ones `missed` were bad."""

    flagged: int
    right: int
    passed: int
    missed: int


@dataclass(frozen=True, slots=True)
class Truth:
    """`against` is the heavier scorer, "" where none has judged. `inline` is how right guards were that ran the same
    detector in line, None where none did. Figures are for all calls, by the chance each had of being judged."""

    against: str
    threshold: float
    heavy_threshold: float
    judged: int
    quality: Quality
    inline: Quality | None
    people: People
    proposals: tuple[Proposal, ...]


class _Row(NamedTuple):
    trace_id: UUID
    feature: str
    score: float
    heavy_score: float | None
    is_kept: bool


def heavier(one: Known) -> tuple[str, ...]:
    """Scorers of the slow lane that judge the same thing, those of the same side of the call first."""
    side = one.id.rpartition("_")[2]
    slow = [each for each in registry.known() if each.lane == "slow" and each.family == one.family]
    return tuple(each.id for each in sorted(slow, key=lambda each: (not each.id.endswith(side), each.id)))


def calibrated(window: Window, scorer: str, version: str) -> Correlation:
    """How a judge's scores go with what people gave the same calls, under the scorer's name or its rubric's."""
    sql = f"""SELECT c.score, avg(greatest(r.score, 0)) FROM scores c
        JOIN ratings r ON r.project_id = c.project_id AND r.trace_id = c.trace_id
            AND (r.span_id IS NULL OR r.span_id = c.span_id) AND r.score IS NOT NULL AND r.name = ANY (%(names)s)
        WHERE c.project_id = %(project)s AND c.scorer = %(scorer)s AND c.scorer_version = %(version)s
            AND c.start_time >= %(start)s AND c.start_time < %(end)s
        GROUP BY c.trace_id, c.span_id, c.start_time, c.score LIMIT {MAX_ROWS}"""  # noqa: S608 - a number of our own
    values = {"project": window.project_id, "start": window.start, "end": window.end, "scorer": scorer,
              "version": version, "names": [scorer, scorer.removeprefix("judge_")]}  # fmt: skip
    with reading.bounded():
        found = reading.named_rows(sql, values)
    return calibration.correlation([row[0] for row in found], [float(row[1]) for row in found])


def truth(window: Window, scorer: str, version: str, against: str = "") -> Truth | None:
    """None for scorers that flag nothing or are heavy themselves. `against` takes another heavier scorer than the usual
    one."""
    known = {one.id: one for one in registry.known()}
    one = known.get(scorer)
    if one is None or one.threshold is None or one.lane != "fast":
        return None
    heavy = known.get(against) or next((known[name] for name in heavier(one)), None)
    rules = settings.rules(window.project_id)
    people = _people(window, one)
    rows = _judged(window, one, version, heavy) if heavy else []
    rows += _only_people(window, one, version, people, {row.trace_id for row in rows})
    joined = [_joined(window.project_id, row, one, heavy, rules, people) for row in rows]
    return _truth(window, one, heavy, rules, rows, joined)


def _truth(
    window: Window, one: Known, heavy: Known | None, rules: Rules, rows: Sequence[_Row], joined: Sequence[Joined]
) -> Truth:
    threshold = _threshold(one, rules)
    heavy_threshold = 0.5 if heavy is None or heavy.threshold is None else _bad(heavy, heavy.threshold)
    inline = _inline(window, one, [row.trace_id for row in rows]) if one.detector else {}
    said = [
        replace(each, score=float(inline[row.trace_id])) for row, each in zip(rows, joined, strict=True)
        if row.trace_id in inline
    ]  # fmt: skip
    return Truth(
        against=heavy.id if heavy and any(row.heavy_score is not None for row in rows) else "",
        threshold=threshold,
        heavy_threshold=heavy_threshold,
        judged=len(rows),
        quality=weak_labels.estimate(joined, _bad(one, threshold), heavy_threshold),
        inline=weak_labels.estimate(said, 0.5, heavy_threshold) if said else None,
        people=_said(joined, _bad(one, threshold)),
        proposals=tuple(_proposal(one, joined, wanted, heavy_threshold) for wanted in WANTED_RATES),
    )


def _proposal(one: Known, joined: Sequence[Joined], wanted: float, heavy_threshold: float) -> Proposal:
    """With the threshold as the scorer counts, whichever end is good."""
    found = weak_labels.propose(joined, wanted, heavy_threshold)
    return found if found.threshold is None else replace(found, threshold=_bad(one, found.threshold))


def _threshold(one: Known, rules: Rules) -> float:
    own = rules.of(one.id, "").threshold
    assert one.threshold is not None
    return one.threshold if own is None else own


def _bad(one: Known, score: float) -> float:
    """The score as badness, and back again: where high is good, turned round."""
    return score if one.direction == "low_is_good" else 1 - score


def _joined(
    project_id: int, row: _Row, one: Known, heavy: Known | None, rules: Rules, people: Mapping[UUID, bool]
) -> Joined:
    heavy_score = None if row.heavy_score is None or heavy is None else _bad(heavy, row.heavy_score)
    ratio = None
    if heavy is not None and row.heavy_score is not None:
        share = rules.of(heavy.id, row.feature).sample_ratio
        share = heavy.usual_ratio if share is None else share
        is_drawn = sampling.is_sampled(project_id, row.trace_id, heavy.id, share)
        ratio = 1.0 if row.is_kept or not is_drawn else share or 1.0
    return Joined(_bad(one, row.score), heavy_score, people.get(row.trace_id), ratio)


def _said(joined: Sequence[Joined], threshold: float) -> People:
    told = [(row.score >= threshold, row.human) for row in joined if row.human is not None]
    flagged, passed = [human for hit, human in told if hit], [human for hit, human in told if not hit]
    return People(len(flagged), sum(flagged), len(passed), sum(passed))


_KEPT = f"""(k.status = {int(Status.ERROR)} OR k.error_type <> ''
    OR EXISTS (SELECT 1 FROM ratings r WHERE r.project_id = c.project_id AND r.trace_id = c.trace_id
        AND r.tone = {int(Tone.NEGATIVE)})
    OR EXISTS (SELECT 1 FROM guard_decisions d WHERE d.project_id = c.project_id AND d.trace_id = c.trace_id
        AND d.start_time BETWEEN c.start_time - interval '1 day' AND c.start_time + interval '1 day'
        AND d.action = {ACTIONS.index("block")} AND d.mode <> 'shadow'))"""  # noqa: S608 - numbers of our own


def _judged(window: Window, one: Known, version: str, heavy: Known) -> list[_Row]:
    sql = f"""SELECT c.trace_id, c.feature, c.score, h.score, coalesce({_KEPT}, false)
        FROM (SELECT * FROM scores WHERE project_id = %(project)s AND scorer = %(heavy)s
            AND start_time >= %(start)s AND start_time < %(end)s ORDER BY start_time DESC LIMIT {MAX_ROWS}) h
        JOIN scores c ON c.project_id = h.project_id AND c.trace_id = h.trace_id AND c.span_id = h.span_id
            AND c.start_time = h.start_time AND c.scorer = %(scorer)s AND c.scorer_version = %(version)s
        LEFT JOIN llm_calls k ON k.project_id = c.project_id AND k.trace_id = c.trace_id AND k.span_id = c.span_id
            AND k.start_time = c.start_time"""  # noqa: S608 - names of our own
    return _rows(sql, window, scorer=one.id, version=version, heavy=heavy.id)


def _only_people(window: Window, one: Known, version: str, people: Mapping[UUID, bool], known: set[UUID]) -> list[_Row]:
    wanted = [trace for trace in people if trace not in known][:MAX_ROWS]
    if not wanted:
        return []
    sql = f"""SELECT trace_id, feature, score, NULL, false FROM scores WHERE project_id = %(project)s
        AND trace_id = ANY (%(traces)s::uuid[]) AND scorer = %(scorer)s AND scorer_version = %(version)s
        AND start_time >= %(start)s AND start_time < %(end)s LIMIT {MAX_ROWS}"""  # noqa: S608 - names of our own
    return _rows(sql, window, scorer=one.id, version=version, traces=wanted)


def _rows(sql: str, window: Window, **params: object) -> list[_Row]:
    values = {"project": window.project_id, "start": window.start, "end": window.end, **params}
    with reading.bounded():
        return [_Row(*row) for row in reading.named_rows(sql, values)]


def _people(window: Window, one: Known) -> dict[UUID, bool]:
    """Traces of which somebody said whether the bad thing is there; one word that it is outweighs others."""
    sql = f"""SELECT trace_id, bool_or(is_bad) FROM (
            SELECT trace_id, tone = {int(Tone.NEGATIVE)} AS is_bad FROM ratings WHERE project_id = %(project)s
                AND trace_id IS NOT NULL AND tone IS NOT NULL AND name = ANY (%(names)s)
                AND rated_at >= %(start)s
            UNION ALL
            SELECT d.trace_id, v.is_violation FROM policies_decisionreview v
                JOIN guard_decisions d ON d.project_id = v.project_id AND d.check_id = v.check_id
                WHERE v.project_id = %(project)s AND d.start_time >= %(start)s AND d.start_time < %(end)s
                AND d.mode <> 'shadow'
                AND d.checks @> jsonb_build_array(jsonb_build_object('detector', %(detector)s::text))
        ) said GROUP BY trace_id LIMIT {MAX_ROWS}"""  # noqa: S608 - names of our own
    values = {"project": window.project_id, "start": window.start, "end": window.end, "names": [one.id, one.family],
              "detector": one.detector}  # fmt: skip
    with reading.bounded():
        return dict(reading.named_rows(sql, values))


def _inline(window: Window, one: Known, traces: Sequence[UUID]) -> dict[UUID, bool]:
    """Traces in which a guard ran the scorer's detector on this side of the call, and whether it triggered."""
    if not traces:
        return {}
    stages = ["output"] if one.id.endswith("_response") else ["input", "retrieved", "tool_result"]
    sql = """SELECT d.trace_id, bool_or((checked->>'triggered')::boolean) FROM guard_decisions d,
            jsonb_array_elements(d.checks) AS checked
        WHERE d.project_id = %(project)s AND d.trace_id = ANY (%(traces)s::uuid[]) AND d.start_time >= %(start)s
            AND d.start_time < %(end)s AND d.mode <> 'shadow' AND d.stage = ANY (%(stages)s)
            AND checked->>'detector' = %(detector)s AND checked->>'outcome' = 'ran' GROUP BY 1"""
    values = {"project": window.project_id, "start": window.start, "end": window.end, "traces": list(traces),
              "detector": one.detector, "stages": stages}  # fmt: skip
    with reading.bounded():
        return {trace: bool(hit) for trace, hit in reading.named_rows(sql, values)}
