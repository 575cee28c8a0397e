"""One trace as a tree, and lists of traces by their roots."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from stanchion_server.ingest.records import Charge, SpanKind, Status
from stanchion_server.kernel.ids import span_id_to_hex
from stanchion_server.traces.filters import Condition, TraceFilter, all_of, trace_conditions
from stanchion_server.traces.selectors import reading
from stanchion_server.traces.selectors.calls import MAX_PAGE, SUMMARY_SQL, summary_of
from stanchion_server.traces.selectors.shapes import CallSummary, SpanNode, TraceSummary, TraceView

MAX_SPANS = 10_000

SPAN_SQL = """SELECT s.span_id, s.parent_span_id, s.name, s.kind, s.status, s.status_message, s.service, s.scope_name,
    s.scope_version, s.start_time, s.duration_ns
    FROM spans s WHERE s.project_id = %s AND s.trace_id = %s ORDER BY s.start_time, s.span_id LIMIT %s"""


@dataclass(slots=True)
class _Totals:
    spans: int = 0
    calls: int = 0
    unpriced: int = 0
    hosted: int = 0
    errors: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: Decimal | None = None

    def add(self, other: _Totals) -> None:
        self.spans += other.spans
        self.calls += other.calls
        self.unpriced += other.unpriced
        self.hosted += other.hosted
        self.errors += other.errors
        self.input_tokens = _sum(self.input_tokens, other.input_tokens)
        self.output_tokens = _sum(self.output_tokens, other.output_tokens)
        if other.cost_usd is not None:
            self.cost_usd = other.cost_usd if self.cost_usd is None else self.cost_usd + other.cost_usd


@dataclass(slots=True)
class _Tree:
    """Spans by their place in `rows`; a parent's children in order of time."""

    rows: Sequence[reading.Row]
    children: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    roots: list[int] = field(default_factory=list)
    orphans: set[int] = field(default_factory=set)
    order: list[tuple[int, int]] = field(default_factory=list)


def trace(project_id: int, trace_id: str, limit: int = MAX_SPANS) -> TraceView | None:
    """The tree of a trace, or None where the project has no span of it. Texts: see `span_content`."""
    trace_uuid = reading.trace_id_or_none(trace_id)
    if trace_uuid is None:
        return None
    with reading.bounded():
        spans = reading.rows(SPAN_SQL, (project_id, trace_uuid, limit + 1))
        if not spans:
            return None
        calls = _calls_of(project_id, trace_uuid, limit)
        with_content = _spans_with_content(project_id, trace_uuid)
    return _view(trace_uuid, spans[:limit], calls, with_content, len(spans) > limit)


def _view(
    trace_id: UUID, rows: Sequence[reading.Row], calls: dict[int, CallSummary], with_content: set[int], is_cut: bool
) -> TraceView:
    tree = _grow(rows)
    totals = _totals(tree, calls)
    start = rows[0][9]
    ends = [row[9] + timedelta(microseconds=max(row[10], 0) / 1000) for row in rows]
    whole = _Totals()
    for root in tree.roots:
        whole.add(totals[root])
    nodes = tuple(
        _node(rows[place], depth, place in tree.orphans, start, calls, with_content, totals[place])
        for place, depth in tree.order
    )
    missing = sorted({span_id_to_hex(rows[place][1]) for place in tree.orphans})
    return TraceView(
        trace_id=trace_id.hex,
        start_time=start,
        duration_ms=(max(ends) - start) / timedelta(milliseconds=1),
        spans=nodes,
        is_incomplete=bool(tree.orphans) or not tree.roots,
        is_cut=is_cut,
        missing_parents=tuple(missing),
        calls=whole.calls,
        unpriced_calls=whole.unpriced,
        hosted_calls=whole.hosted,
        errors=whole.errors,
        input_tokens=whole.input_tokens,
        output_tokens=whole.output_tokens,
        cost_usd=whole.cost_usd,
    )


def _grow(rows: Sequence[reading.Row]) -> _Tree:
    """A tree that reaches every span once, whatever parents the client claims: unknown ones, itself, or a circle."""
    tree = _Tree(rows)
    place_of: dict[int, int] = {}
    for place, row in enumerate(rows):
        place_of.setdefault(row[0], place)
    for place, row in enumerate(rows):
        parent = place_of.get(row[1]) if row[1] is not None else None
        if parent is None or parent == place:
            tree.roots.append(place)
            if row[1] is not None:
                tree.orphans.add(place)
        else:
            tree.children[parent].append(place)
    seen: set[int] = set()
    for root in list(tree.roots):
        _visit(tree, root, seen)
    for place in range(len(rows)):
        if place not in seen:
            tree.roots.append(place)
            tree.orphans.add(place)
            _visit(tree, place, seen)
    return tree


def _visit(tree: _Tree, root: int, seen: set[int]) -> None:
    """Depth first, without recursion: a chain may be ten thousand spans deep."""
    stack = [(root, 0)]
    while stack:
        place, depth = stack.pop()
        if place in seen:
            continue
        seen.add(place)
        tree.order.append((place, depth))
        stack.extend((child, depth + 1) for child in reversed(tree.children[place]))


def _totals(tree: _Tree, calls: dict[int, CallSummary]) -> list[_Totals]:
    """Each span's own numbers plus those of everything below it. Children come after their parents in `order`."""
    totals = [_own(row, calls.get(row[0])) for row in tree.rows]
    parents: list[tuple[int, int]] = []
    path: list[int] = []
    for place, depth in tree.order:
        del path[depth:]
        if path:
            parents.append((place, path[-1]))
        path.append(place)
    for place, parent in reversed(parents):
        totals[parent].add(totals[place])
    return totals


def _own(row: reading.Row, call: CallSummary | None) -> _Totals:
    errors = int(row[4] == Status.ERROR)
    if call is None or call.charge is not Charge.CHARGED:
        return _Totals(spans=1, errors=errors)
    unpriced, hosted = int(call.cost_usd is None), int(bool(call.hosted_by))
    return _Totals(1, 1, unpriced, hosted, errors, call.input_tokens, call.output_tokens, call.cost_usd)


def _node(
    row: reading.Row,
    depth: int,
    is_orphan: bool,
    start: object,
    calls: dict[int, CallSummary],
    with_content: set[int],
    totals: _Totals,
) -> SpanNode:
    return SpanNode(
        span_id=span_id_to_hex(row[0]),
        parent_span_id=None if row[1] is None else span_id_to_hex(row[1]),
        name=row[2],
        kind=SpanKind(row[3]),
        status=Status(row[4]),
        status_message=row[5],
        service=row[6],
        scope_name=row[7],
        scope_version=row[8],
        start_time=row[9],
        offset_ms=(row[9] - start) / timedelta(milliseconds=1),
        duration_ms=row[10] / 1e6,
        depth=depth,
        is_orphan=is_orphan,
        has_content=row[0] in with_content,
        call=calls.get(row[0]),
        subtree_spans=totals.spans,
        subtree_calls=totals.calls,
        subtree_unpriced_calls=totals.unpriced,
        subtree_hosted_calls=totals.hosted,
        subtree_input_tokens=totals.input_tokens,
        subtree_output_tokens=totals.output_tokens,
        subtree_cost_usd=totals.cost_usd,
    )


def _calls_of(project_id: int, trace_id: UUID, limit: int) -> dict[int, CallSummary]:
    sql = f"""SELECT {SUMMARY_SQL} FROM llm_calls c WHERE c.project_id = %s AND c.trace_id = %s
        ORDER BY c.start_time, c.span_id LIMIT %s"""  # noqa: S608
    found: dict[int, CallSummary] = {}
    for row in reading.rows(sql, (project_id, trace_id, limit)):
        found.setdefault(row[1], summary_of(row))
    return found


def _spans_with_content(project_id: int, trace_id: UUID) -> set[int]:
    sql = "SELECT DISTINCT span_id FROM contents WHERE project_id = %s AND trace_id = %s"
    return {row[0] for row in reading.rows(sql, (project_id, trace_id))}


def traces(
    project_id: int, wanted: TraceFilter, cursor: str | None = None, limit: int = 50
) -> reading.Page[TraceSummary]:
    """Traces by their root spans, the newest first. A trace whose root has not arrived is found by its calls only."""
    limit = min(max(limit, 1), MAX_PAGE)
    conditions = [
        Condition("s.project_id = %s AND s.parent_span_id IS NULL", (project_id,)),
        *trace_conditions(wanted),
    ]
    if cursor:
        when, trace_id, span_id = reading.decode_cursor(cursor)
        after = "s.start_time <= %s AND (s.start_time < %s OR (s.trace_id, s.span_id) > (%s, %s))"
        conditions.append(Condition(after, (when, when, trace_id, span_id)))
    where = all_of(conditions)
    sql = f"""SELECT s.trace_id, s.span_id, s.name, s.kind, s.status, s.service, s.environment, s.feature, s.session_id,
        s.start_time, s.duration_ns FROM spans s WHERE {where.sql}
        ORDER BY s.start_time DESC, s.trace_id, s.span_id LIMIT {limit + 1}"""  # noqa: S608
    with reading.bounded():
        found = reading.rows(sql, where.params)
        sums = _sums_of(project_id, found[:limit])
    items = tuple(_summary(row, sums.get(row[0])) for row in found[:limit])
    last = found[limit - 1] if len(found) > limit else None
    return reading.Page(items, reading.encode_cursor(last[9], last[0].hex, last[1]) if last else None)


def _sums_of(project_id: int, roots: Sequence[reading.Row]) -> dict[UUID, reading.Row]:
    """Charged calls per trace. Calls are looked for within a day of the page's roots, which prunes the partitions."""
    if not roots:
        return {}
    sql = """SELECT trace_id, count(*), count(*) FILTER (WHERE cost_usd IS NULL), count(*) FILTER (WHERE status = 2),
        sum(input_tokens)::bigint, sum(output_tokens)::bigint, sum(cost_usd) FROM llm_calls
        WHERE project_id = %s AND trace_id = ANY(%s) AND charge = 0 AND start_time >= %s AND start_time < %s
        GROUP BY trace_id"""
    low, high = roots[-1][9] - timedelta(days=1), roots[0][9] + timedelta(days=1)
    found = reading.rows(sql, (project_id, [row[0] for row in roots], low, high))
    return {row[0]: row for row in found}


def _summary(row: reading.Row, sums: reading.Row | None) -> TraceSummary:
    calls, unpriced, errors, input_tokens, output_tokens, cost = sums[1:] if sums else (0, 0, 0, None, None, None)
    return TraceSummary(
        trace_id=row[0].hex,
        span_id=span_id_to_hex(row[1]),
        name=row[2],
        kind=SpanKind(row[3]),
        status=Status(row[4]),
        service=row[5],
        environment=row[6],
        feature=row[7],
        session_id=row[8],
        start_time=row[9],
        duration_ms=row[10] / 1e6,
        calls=calls,
        unpriced_calls=unpriced,
        errors=errors,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cost_usd=cost,
    )


def _sum(left: int | None, right: int | None) -> int | None:
    if left is None or right is None:
        return right if left is None else left
    return left + right
