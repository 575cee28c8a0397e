"""Do the guards still run, and are they right? Decisions beside the calls they guard and the ratings people gave."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from stanchion_server.feedback.ratings import Tone
from stanchion_server.ingest.records import SpanKind
from stanchion_server.kernel.errors import SenderError
from stanchion_server.policies import gaps, measures
from stanchion_server.policies.gaps import Gap
from stanchion_server.policies.selectors import DecisionFilter, conditions
from stanchion_server.traces import selectors as traces
from stanchion_server.traces.selectors import grains, reading

LOOK_BACK = timedelta(days=1)
"""What is usual is read from the range itself and from so much before it."""
LATELY = timedelta(hours=6)
"""As far back as steps of five minutes are looked at."""
STEPS = (
    (timedelta(hours=30), timedelta(minutes=5)), (timedelta(hours=49), timedelta(minutes=15)),
    (timedelta(days=32), timedelta(hours=1)),
)  # fmt: skip
COARSEST = timedelta(days=1)
MAX_FEATURES = 1_000
MAX_GAPS = 50

Counts = Mapping[datetime, int]


@dataclass(frozen=True, slots=True)
class Rated:
    """Decisions that stopped or changed something and whose trace people rated: `negative` of `rated`."""

    rated: int
    negative: int

    @property
    def negative_ratio(self) -> float | None:
        return self.negative / self.rated if self.rated else None


def coverage_gaps(project_id: int, start: datetime, end: datetime) -> tuple[Gap, ...]:
    """Stretches of the range in which a policy judged nothing although there were calls to judge, or in which one of
    its rules did not run: those that last first, then the newest. Shadows do not count.

    Steps are of 5 minutes for a range up to 6 hours, 15 minutes up to a day, an hour up to a month, else a day: what is
    shorter than a step is not seen.
    """
    low = start - LOOK_BACK
    step, calls = _calls(project_id, low, end)
    times = grains.steps(low, end, step)
    made = measures.counts(project_id, low, end, step)
    found = [*_silences(made, calls, times, step), *_idle_rules(project_id, made, times, step)]
    within = [gap for gap in found if gap.end > start]
    return tuple(sorted(within, key=_first_open_then_newest)[:MAX_GAPS])


def open_gaps(project_id: int, now: datetime) -> tuple[Gap, ...]:
    """What does not run now, to five minutes; a policy that has not judged for longer than 30 hours is forgotten."""
    return tuple(gap for gap in coverage_gaps(project_id, now - LATELY, now) if gap.is_open)


def gaps_until_now(project_id: int, start: datetime, now: datetime) -> tuple[Gap, ...]:
    """The gaps of a range that ends now; what is open is looked at more closely than the range's steps allow."""
    found = coverage_gaps(project_id, start, now)
    if now - start <= LATELY:
        return found
    is_open = open_gaps(project_id, now)
    unseen = now - LATELY - LOOK_BACK
    kept = [
        gap for gap in found if gap.start < unseen or not (gap.is_open or any(_is_same(gap, one) for one in is_open))
    ]
    return tuple(sorted((*is_open, *kept), key=_first_open_then_newest)[:MAX_GAPS])


def _is_same(gap: Gap, other: Gap) -> bool:
    key, of_other = (gap.policy, gap.feature, gap.rule), (other.policy, other.feature, other.rule)
    return key == of_other and gap.end > other.start


def _first_open_then_newest(gap: Gap) -> tuple[bool, float]:
    return not gap.is_open, -gap.start.timestamp()


def rated_after_acting(project_id: int, wanted: DecisionFilter) -> Rated:
    """What people said of the traces in which a guard masked or stopped something."""
    where, params = conditions(project_id, wanted)
    sql = f"""SELECT count(*), count(*) FILTER (WHERE is_negative) FROM (
            SELECT bool_or(r.tone = %s) AS is_negative FROM guard_decisions d
            JOIN ratings r ON r.project_id = d.project_id AND r.trace_id = d.trace_id AND r.tone IS NOT NULL
            WHERE {where} AND d.action > 1 GROUP BY d.trace_id, d.span_id) t"""  # noqa: S608 - names of our own
    with reading.bounded():
        return Rated(*reading.rows(sql, [int(Tone.NEGATIVE), *params])[0])


def _calls(project_id: int, start: datetime, end: datetime) -> tuple[timedelta, Mapping[str, Counts]]:
    """Calls of language models by feature and step; the step is coarser where there are too many features."""
    wanted = [step for length, step in STEPS if end - start <= length] + [COARSEST]
    for step in wanted:
        try:
            return step, _calls_by(project_id, start, end, step)
        except SenderError as error:
            if error.code != "too_many_rows" or step == COARSEST:
                raise
    raise AssertionError("the last step was returned or raised")


def _calls_by(project_id: int, start: datetime, end: datetime, step: timedelta) -> Mapping[str, Counts]:
    query = traces.MetricQuery(
        start, end, step, ("feature",), traces.CallFilter(kind=SpanKind.LLM), percentiles=(), limit=MAX_FEATURES
    )
    found: defaultdict[str, Counter[datetime]] = defaultdict(Counter)
    for row in traces.metrics(project_id, query).rows:
        if row.bucket is not None:
            found[row.group["feature"]][row.bucket] += row.calls
    return found


def _silences(
    made: Iterable[measures.Count], calls: Mapping[str, Counts], times: list[datetime], step: timedelta
) -> list[Gap]:
    decisions: defaultdict[tuple[str, str], Counter[datetime]] = defaultdict(Counter)
    for row in made:
        decisions[row.policy, row.feature][row.bucket] += row.decisions
    found: list[Gap] = []
    for (policy, feature), judged in decisions.items():
        beside = calls.get(feature, {})
        steps = [gaps.Step(time, beside.get(time, 0), judged[time]) for time in times]
        found += gaps.silences(policy, feature, steps, step)
    return found


def _idle_rules(project_id: int, made: Iterable[measures.Count], times: list[datetime], step: timedelta) -> list[Gap]:
    total: defaultdict[str, Counter[datetime]] = defaultdict(Counter)
    for row in made:
        total[row.policy][row.bucket] += row.decisions
    missed: defaultdict[tuple[str, str], defaultdict[datetime, Counter[str]]] = defaultdict(
        lambda: defaultdict(Counter)
    )
    for why in measures.not_run(project_id, times[0], times[-1] + step, step):
        missed[why.policy, why.rule][why.bucket][why.reason] += why.decisions
    found: list[Gap] = []
    for (policy, rule), by_time in missed.items():
        steps = [
            gaps.RuleStep(
                time, count, min(count, by_time[time].total()) if time in by_time else 0, by_time.get(time, {})
            )
            for time in times
            if (count := total[policy][time]) or time in by_time
        ]
        found += gaps.idle_rules(policy, rule, steps, step)
    return found
