"""Reviewed calls of a project, read for fine-tuning files: ratings, then the calls they are about, then their texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from stanchion_server.feedback import selectors as feedback
from stanchion_server.feedback.ratings import Source
from stanchion_server.feedback.selectors import RatingFilter, RatingView
from stanchion_server.feedback.tuning import Outcome, Pair, Review, Reviewed, decided
from stanchion_server.ingest.records import Charge, SpanKind
from stanchion_server.kernel.ids import span_id_from_hex
from stanchion_server.quality.gather import gather
from stanchion_server.quality.reading import MAX_TEXT_CHARS
from stanchion_server.quality.records import CallKey, Example
from stanchion_server.traces.selectors import reading

MOST_LINES = 10_000
MOST_RATINGS = 20_000
"""Ratings that one file looks at; a longer time is for several files."""
AT_A_TIME = 100
_DAY = timedelta(days=1)
"""A text may come with another start than its call, from a log."""

# The call of a rating: the span itself, else a call right below it, else, for a whole trace, its last call.
_CALLS = """SELECT r.place, c.trace_id, c.span_id, c.start_time
    FROM unnest(%(places)s::int[], %(traces)s::uuid[], %(spans)s::bigint[]) AS r(place, trace_id, span_id)
    CROSS JOIN LATERAL (
        SELECT c.trace_id, c.span_id, c.start_time FROM llm_calls c
        WHERE c.project_id = %(project_id)s AND c.trace_id = r.trace_id AND c.charge = %(charge)s AND c.kind = %(kind)s
            AND (r.span_id IS NULL OR c.span_id = r.span_id OR c.parent_span_id = r.span_id)
        ORDER BY (c.span_id = r.span_id) DESC NULLS LAST, c.start_time DESC, c.span_id LIMIT 1) c"""


@dataclass(frozen=True, slots=True)
class Counts:
    """`calls` by what became of them. `without_call`: ratings whose call is not stored (any more); `is_cut`: there are
    more ratings or lines than one file takes, the newest are counted."""

    written: int
    calls: dict[str, int]
    without_call: int
    unreadable: int
    is_cut: bool


class Reviews:
    """The reviewed calls of one time, the latest rated first, each once, with the newest word on it that says anything.

    Read a hundred at a time, so that a file of any length needs little memory. `counts` is whole when the pairs are.
    """

    def __init__(
        self, project_id: int, start: datetime, end: datetime, wanted: Review, limit: int, source: Source | None = None
    ) -> None:
        self._project_id, self._wanted = project_id, wanted
        self._filter = RatingFilter(start=start, end=end, source=source)
        self._limit = min(limit, MOST_LINES)
        self._seen: set[CallKey] = set()
        self._outcomes: Counter[str] = Counter()
        self._without_call = self._unreadable = self._ratings = 0
        self._is_cut = False

    @property
    def counts(self) -> Counts:
        written = self._outcomes[Outcome.WRITTEN.value]
        calls = {outcome.value: self._outcomes[outcome.value] for outcome in Outcome}
        return Counts(written, calls, self._without_call, self._unreadable, self._is_cut)

    def pairs(self) -> Iterator[list[Pair]]:
        """Of one read each; a list may be empty."""
        cursor: str | None = None
        while True:
            page = feedback.ratings(self._project_id, self._filter, cursor, AT_A_TIME)
            self._ratings += len(page.items)
            yield self._take(page.items)
            cursor = page.next_cursor
            if cursor is None:
                return
            if self._outcomes[Outcome.WRITTEN.value] >= self._limit or self._ratings >= MOST_RATINGS:
                self._is_cut = True
                return

    def _take(self, ratings: Sequence[RatingView]) -> list[Pair]:
        telling = [one for one in ratings if one.trace_id and (one.correction.strip() or one.rating is not None)]
        with reading.bounded():
            calls = self._calls(telling)
            self._without_call += sum(one is None for one in calls)
            new: dict[CallKey, RatingView] = {}
            for rating, key in zip(telling, calls, strict=True):
                if key is not None and key not in self._seen:
                    new.setdefault(key, rating)
            self._seen.update(new)
            found = gather(self._project_id, list(new))
            truncated = self._truncated(list(new))
        self._unreadable += len(found.unreadable)
        taken = []
        by_key = {one.example.key: one for one in found.calls}
        for one in (by_key[key] for key in new if key in by_key):
            key = one.example.key
            decision = decided(_reviewed(one.example, new[key], is_truncated=key in truncated), self._wanted)
            if isinstance(decision, Pair) and self._outcomes[Outcome.WRITTEN.value] >= self._limit:
                self._is_cut = True
                continue
            self._outcomes[Outcome.WRITTEN.value if isinstance(decision, Pair) else decision.value] += 1
            if isinstance(decision, Pair):
                taken.append(decision)
        return taken

    def _calls(self, ratings: Sequence[RatingView]) -> list[CallKey | None]:
        """In the order of the ratings, None where no call is stored."""
        if not ratings:
            return []
        values = {
            "places": list(range(len(ratings))), "traces": [one.trace_id for one in ratings],
            "spans": [None if one.span_id is None else span_id_from_hex(one.span_id) for one in ratings],
            "project_id": self._project_id, "charge": int(Charge.CHARGED), "kind": int(SpanKind.LLM),
        }  # fmt: skip
        found = {row[0]: CallKey(self._project_id, *row[1:]) for row in reading.named_rows(_CALLS, values)}
        return [found.get(place) for place in range(len(ratings))]

    def _truncated(self, keys: Sequence[CallKey]) -> set[CallKey]:
        if not keys:
            return set()
        times = [key.start_time for key in keys]
        rows = reading.rows(
            "SELECT DISTINCT trace_id, span_id FROM contents WHERE project_id = %s AND trace_id = ANY (%s)"
            " AND span_id = ANY (%s) AND start_time BETWEEN %s AND %s AND is_truncated",
            (self._project_id, [key.trace_id for key in keys], [key.span_id for key in keys],
             min(times) - _DAY, max(times) + _DAY),
        )  # fmt: skip
        cut = {(trace, span) for trace, span in rows}
        return {key for key in keys if (key.trace_id, key.span_id) in cut}


def _reviewed(example: Example, rating: RatingView, *, is_truncated: bool) -> Reviewed:
    """What the model was told, in order: instructions, earlier turns, the question."""
    correction = rating.correction.strip()
    told = [text for text in (example.system, *example.history, example.prompt) if text]
    is_cut = any(len(text) >= MAX_TEXT_CHARS for text in (*told, "" if correction else example.response))
    return Reviewed(
        "\n\n".join(told), example.response, correction, rating.rating, has_tool_calls=example.tool_calls > 0,
        is_more_than_text=example.not_text > 0, is_truncated=is_truncated or is_cut,
    )  # fmt: skip
