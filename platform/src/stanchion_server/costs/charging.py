"""Which of several records of one provider call is charged, and what the others add to it. Pure.

Several instrumentations may record the same call: nested, side by side, or in another trace (a gateway). Records
belong together by the provider's response id, by a pair key, or, where a response id is missing, by trace, time, model
and equal token counts. The result does not depend on the order of the records.
"""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from stanchion_server.ingest.records import Charge, TokenSource

RESPONSE_WINDOW = timedelta(hours=24)
PAIR_WINDOW = timedelta(hours=1)
RECORDS_PER_RESPONSE = 20
"""A response id with more records than this in its window is a constant of a broken server, not an id."""

Key = tuple[UUID, int, datetime]
Parents = Mapping[int, int | None]

INPUT_DETAIL = ("cached_input_tokens", "cache_write_tokens", "cache_write_1h_tokens", "audio_input_tokens")
OUTPUT_DETAIL = ("reasoning_tokens", "audio_output_tokens")
TOKENS = ("input_tokens", "output_tokens", *INPUT_DETAIL, *OUTPUT_DETAIL)
TEXTS = (
    "provider", "request_model", "response_model", "service_tier", "feature", "user_id", "session_id", "environment",
    "release", "prompt_name", "prompt_version", "input_preview", "output_preview",
)  # fmt: skip
OTHERS = ("time_to_first_token_ms", "is_streamed", "finish_reasons", "tags", "tool_call_count")
FILLABLE = (*TOKENS, *TEXTS, *OTHERS)

_PAIRS_AT_ONCE, _FEWEST_COMPARED, _MOST_SCOPES = 100_000, 16, 8

_DATE = re.compile(r"[-@](20\d{2}-?\d{2}-?\d{2})$")


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What one record itself reported: values that came from another record are unknown here. `scope` names the
    instrumentation; `is_rollup` records sum up calls below them."""

    trace_id: UUID
    span_id: int
    start_time: datetime
    parent_span_id: int | None
    duration_ns: int
    kind: int
    scope: str
    is_rollup: bool
    response_id: str
    pair_key: int | None
    model: str
    token_source: str
    tokens_ambiguous: bool
    provider: str = ""
    request_model: str = ""
    response_model: str = ""
    service_tier: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    reasoning_tokens: int | None = None
    audio_input_tokens: int | None = None
    audio_output_tokens: int | None = None
    feature: str = ""
    user_id: str = ""
    session_id: str = ""
    environment: str = ""
    release: str = ""
    prompt_name: str = ""
    prompt_version: str = ""
    input_preview: str = ""
    output_preview: str = ""
    time_to_first_token_ms: float | None = None
    is_streamed: bool | None = None
    finish_reasons: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    tool_call_count: int = 0

    @property
    def key(self) -> Key:
        return self.trace_id, self.span_id, self.start_time

    @property
    def end_time(self) -> datetime:
        return self.start_time + timedelta(microseconds=self.duration_ns // 1000)

    @property
    def has_usage(self) -> bool:
        return self.input_tokens is not None or self.output_tokens is not None


@dataclass(frozen=True, slots=True)
class Decision:
    """`primary` is the record that is charged in place of a duplicate. `values` are what other records add, by column,
    `sources` the span each came from."""

    charge: Charge
    primary: Key | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    sources: Mapping[str, int] = field(default_factory=dict)


def decide(calls: Iterable[CallFacts], parents: Mapping[UUID, Parents]) -> dict[Key, Decision]:
    """A decision for every record given. `calls` must hold every record that may belong together with another;
    `parents` maps span to parent for each trace that has roll-ups."""
    ordered = sorted(calls, key=lambda call: _sort_key(call))
    leaves = [call for call in ordered if not call.is_rollup]
    decisions: dict[Key, Decision] = {}
    for group in same_calls(leaves):
        decisions.update(_settle_group(group))
    decisions.update(_settle_rollups(ordered, parents))
    return decisions


def _sort_key(call: CallFacts) -> tuple[datetime, int, int]:
    return call.start_time, call.trace_id.int, call.span_id


def same_calls(leaves: Sequence[CallFacts]) -> list[list[CallFacts]]:
    """Groups the records of the same provider call; `leaves` are in stable order, by time."""
    groups = _by_response(leaves)
    groups += _by_pair([call for call in leaves if not call.response_id])
    seen = {call.key for group in groups for call in group}
    groups += [[call] for call in leaves if call.key not in seen]
    return _join_wrappers(_join_by_likeness(groups))


def _by_response(leaves: Sequence[CallFacts]) -> list[list[CallFacts]]:
    by_id: dict[str, list[CallFacts]] = defaultdict(list)
    for call in leaves:
        if call.response_id:
            by_id[call.response_id].append(call)
    groups: list[list[CallFacts]] = []
    for calls in by_id.values():
        windows = _windows(calls, RESPONSE_WINDOW)
        groups += [group for group in windows if len(group) <= RECORDS_PER_RESPONSE]
    return groups


def _by_pair(calls: Sequence[CallFacts]) -> list[list[CallFacts]]:
    by_pair: dict[int, list[CallFacts]] = defaultdict(list)
    for call in calls:
        if call.pair_key is not None:
            by_pair[call.pair_key].append(call)
    return [group for found in by_pair.values() for group in _halves(found)]


def _halves(calls: Sequence[CallFacts]) -> list[list[CallFacts]]:
    """Pairs of one record without usage and one with, first come first served: questions are asked again at once."""
    groups: list[list[CallFacts]] = []
    waiting: dict[bool, deque[list[CallFacts]]] = {True: deque(), False: deque()}
    for call in calls:
        others = waiting[not call.has_usage]
        while others and call.start_time - others[0][0].start_time > PAIR_WINDOW:
            others.popleft()
        if others:
            others.popleft().append(call)
        else:
            groups.append([call])
            waiting[call.has_usage].append(groups[-1])
    return groups


def _windows(calls: Sequence[CallFacts], length: timedelta) -> list[list[CallFacts]]:
    """Splits calls in time order: a group starts with its first call and ends `length` later; providers agree in it."""
    groups: list[list[CallFacts]] = []
    for call in calls:
        for group in groups:
            is_near = call.start_time - group[0].start_time <= length
            is_constant = len(group) > RECORDS_PER_RESPONSE
            if is_near and (is_constant or all(_are_compatible(call.provider, other.provider) for other in group)):
                group.append(call)
                break
        else:
            groups.append([call])
    return groups


def _are_compatible(one: str, other: str) -> bool:
    """The openai client serves as the client of every compatible provider and gateway, so its word for the provider
    proves little."""
    if one == other or not one or not other or "openai" in one or "openai" in other:
        return True
    return one.partition(".")[0] == other.partition(".")[0] or {one, other} & {"litellm", "openrouter"} != set()


def _join_by_likeness(groups: list[list[CallFacts]]) -> list[list[CallFacts]]:
    """Joins groups of which one has no response id, closest pairs first."""
    owner = {call.key: index for index, group in enumerate(groups) for call in group}
    for _rank, one, other in sorted(_alike(groups), key=lambda pair: pair[0]):
        first, second = owner[one.key], owner[other.key]
        if first != second and _may_join(groups[first], groups[second], is_nested=_is_nested(one, other)):
            groups[first] += groups[second]
            for call in groups[second]:
                owner[call.key] = first
            groups[second] = []
    return [group for group in groups if group]


def _join_wrappers(groups: list[list[CallFacts]]) -> list[list[CallFacts]]:
    """A record without usage and response id around one of the same kind and model is no call of its own: frameworks
    record the method the application called and the one that asks the provider (LlamaIndex). Around several it stands
    with the first."""
    owner = {call.key: index for index, group in enumerate(groups) for call in group}
    inner: dict[tuple[UUID, int | None], CallFacts] = {}
    for call in sorted((call for group in groups for call in group), key=_sort_key):
        inner.setdefault((call.trace_id, call.parent_span_id), call)
    for call in [call for group in groups for call in group]:
        first_inside = inner.get((call.trace_id, call.span_id))
        if first_inside is None or first_inside.kind != call.kind or not _same_model(call, first_inside):
            continue
        target, source = owner[first_inside.key], owner[call.key]
        if target != source and not any(other.has_usage or other.response_id for other in groups[source]):
            groups[target] += groups[source]
            for other in groups[source]:
                owner[other.key] = target
            groups[source] = []
    return [group for group in groups if group]


def _may_join(one: Sequence[CallFacts], other: Sequence[CallFacts], *, is_nested: bool) -> bool:
    """Two response ids are two calls. Records side by side of one instrumentation are two calls as well: nothing
    records the same call twice beside itself, but applications do make equal calls in parallel."""
    if len(one) + len(other) > RECORDS_PER_RESPONSE:
        return False
    if any(call.response_id for call in one) and any(call.response_id for call in other):
        return False
    return is_nested or not {call.scope for call in one} & {call.scope for call in other}


def _alike(groups: Sequence[Sequence[CallFacts]]) -> list[tuple[tuple[Any, ...], CallFacts, CallFacts]]:
    """Pairs of records in one trace with the same usage. The half of a split stream that has none has the other's."""
    by_usage: dict[tuple[Any, ...], list[CallFacts]] = defaultdict(list)
    used = [(call, _usage_in(group)) for group in groups for call in group]
    for call, usage in sorted(used, key=lambda pair: _sort_key(pair[0])):
        if call.has_usage:
            usage = call.input_tokens, call.output_tokens
        if usage[0] is not None:
            by_usage[call.trace_id, call.kind, *usage].append(call)
    pairs = _mute_pairs([call for group in groups for call in group])
    for calls in by_usage.values():
        if len(calls) > 1 and not all(call.response_id for call in calls):
            pairs += _close_pairs(calls)
    return pairs


def _mute_pairs(calls: Sequence[CallFacts]) -> list[tuple[tuple[Any, ...], CallFacts, CallFacts]]:
    """A record that tells neither usage nor response id, and the record of another instrumentation right above or below
    it: two that wrap the same stream can leave one of them without an answer."""
    places = {(call.trace_id, call.span_id): call for call in calls}
    pairs = []
    for one in calls:
        other = places.get((one.trace_id, one.parent_span_id or 0))
        if other is None or one.scope == other.scope or one.kind != other.kind or not _same_model(one, other):
            continue
        if any(not call.has_usage and not call.response_id for call in (one, other)):
            apart = (one.start_time - other.start_time) + abs(other.end_time - one.end_time)
            pairs.append(((False, apart, _sort_key(one), _sort_key(other)), one, other))
    return pairs


def _usage_in(group: Sequence[CallFacts]) -> tuple[int | None, int | None]:
    return next(((call.input_tokens, call.output_tokens) for call in group if call.has_usage), (None, None))


def _close_pairs(calls: Sequence[CallFacts]) -> list[tuple[tuple[Any, ...], CallFacts, CallFacts]]:
    """`calls` are in time order. Rank first: pairs above one another before pairs side by side, then the closest."""
    pairs = []
    for one, other in (*_above(calls), *_beside(calls)):
        if (one.response_id and other.response_id) or not _same_model(one, other):
            continue
        apart = (other.start_time - one.start_time) + abs(other.end_time - one.end_time)
        rank = (not _is_nested(one, other), apart, _sort_key(one), _sort_key(other))
        pairs.append((rank, one, other))
    return pairs


def _above(calls: Sequence[CallFacts]) -> Iterator[tuple[CallFacts, CallFacts]]:
    places: dict[int, list[CallFacts]] = defaultdict(list)
    for call in calls:
        places[call.span_id].append(call)
    for call in calls:
        for above in places.get(call.parent_span_id or 0, ())[:RECORDS_PER_RESPONSE]:
            if above is not call:
                yield (above, call) if _sort_key(above) < _sort_key(call) else (call, above)


def _beside(calls: Sequence[CallFacts]) -> Iterator[tuple[CallFacts, CallFacts]]:
    """Records of two instrumentations at the same time; in batches (thousands of embeddings) only the nearest ones."""
    nearest = max(_FEWEST_COMPARED, _PAIRS_AT_ONCE // len(calls))
    recent: dict[str, deque[CallFacts]] = {}
    for call in calls:
        for scope, before in recent.items():
            if scope != call.scope:
                yield from ((one, call) for one in before if call.start_time <= one.end_time)
        if call.scope in recent or len(recent) < _MOST_SCOPES:
            recent.setdefault(call.scope, deque(maxlen=nearest)).append(call)


def _is_nested(one: CallFacts, other: CallFacts) -> bool:
    return one.parent_span_id == other.span_id or other.parent_span_id == one.span_id


def _same_model(one: CallFacts, other: CallFacts) -> bool:
    return bool(_model_names(one) & _model_names(other))


def _model_names(call: CallFacts) -> set[str]:
    names = (call.model, call.request_model, call.response_model)
    return {_DATE.sub("", name.rpartition("/")[2].lower()) for name in names if name}


def _settle_group(group: Sequence[CallFacts]) -> dict[Key, Decision]:
    ranked = sorted(group, key=lambda call: _rank(call, group))
    primary = ranked[0]
    values, sources = _fill(primary, ranked[1:])
    decisions = {call.key: Decision(Charge.DUPLICATE, primary.key) for call in ranked[1:]}
    decisions[primary.key] = Decision(Charge.CHARGED, None, values, sources)
    return decisions


def _rank(call: CallFacts, group: Sequence[CallFacts]) -> tuple[Any, ...]:
    """Ascending: most usage detail, then most told about the answer, then the innermost record, then the earliest."""
    detail = sum(getattr(call, column) is not None for column in TOKENS)
    is_sound = call.token_source in ("", TokenSource.REPORTED) and not call.tokens_ambiguous
    told = bool(call.output_preview) + bool(call.finish_reasons)
    is_outer = any(other.parent_span_id == call.span_id and other.trace_id == call.trace_id for other in group)
    return not (is_sound and detail), -detail, -told, is_outer, _sort_key(call)


def _fill(primary: CallFacts, others: Sequence[CallFacts]) -> tuple[dict[str, Any], dict[str, int]]:
    values: dict[str, Any] = {}
    sources: dict[str, int] = {}
    known = {column: getattr(primary, column) for column in FILLABLE}
    for other in others:
        for column in FILLABLE:
            theirs = getattr(other, column)
            if is_unknown(column, known[column]) and not is_unknown(column, theirs) and _fits(known, other, column):
                known[column] = values[column] = theirs
                sources[column] = other.span_id
    return values, sources


def is_unknown(column: str, value: object) -> bool:
    """A record without texts counts no tool call, whatever the call did."""
    return value is None or value in ("", ()) or (column == "tool_call_count" and value == 0)


def _fits(known: Mapping[str, Any], other: CallFacts, column: str) -> bool:
    """A part may only come from a record that agrees on the whole."""
    if column in INPUT_DETAIL:
        return bool(known["input_tokens"] == other.input_tokens)
    if column in OUTPUT_DETAIL:
        return bool(known["output_tokens"] == other.output_tokens)
    return True


def _settle_rollups(calls: Sequence[CallFacts], parents: Mapping[UUID, Parents]) -> dict[Key, Decision]:
    """A roll-up is charged only when nothing below it reports usage: the lowest ones stand in for missing leaves."""
    by_trace: dict[UUID, list[CallFacts]] = defaultdict(list)
    for call in calls:
        by_trace[call.trace_id].append(call)
    decisions: dict[Key, Decision] = {}
    for trace_id, found in by_trace.items():
        rollups = [call for call in found if call.is_rollup]
        if rollups:
            covered = _covered(found, {call.span_id for call in rollups}, parents.get(trace_id, {}))
            for call in rollups:
                is_stand_in = call.has_usage and call.span_id not in covered
                decisions[call.key] = Decision(Charge.CHARGED if is_stand_in else Charge.ROLLUP)
    return decisions


def _covered(calls: Sequence[CallFacts], rollups: set[int], parents: Parents) -> set[int]:
    """The roll-ups that have usage below them. A leaf whose way to the root is broken may be below any of them, and
    counting it twice is worse than counting it once."""
    up: dict[int, int | None] = {**parents, **{call.span_id: call.parent_span_id for call in calls}}
    covered: set[int] = set()
    for call in calls:
        if not call.has_usage:
            continue
        seen = {call.span_id}
        above = call.parent_span_id
        while above is not None and above in up and above not in seen:
            seen.add(above)
            above = up[above]
        is_broken = above is not None and not call.is_rollup
        if is_broken:
            return rollups
        covered |= (seen - {call.span_id}) & rollups
    return covered
