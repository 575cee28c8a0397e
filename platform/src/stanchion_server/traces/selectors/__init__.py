"""Reads of telemetry: the first argument is always the project, and no statement goes without it.

Ids are lower-case hex in and out; an id that cannot be one finds nothing. Times are aware; relative times are resolved
by the caller. What of a question cannot be answered is a `SenderError` that says why.
"""

from stanchion_server.traces.filters import CallFilter, TraceFilter
from stanchion_server.traces.selectors.calls import call, calls
from stanchion_server.traces.selectors.contents import span_content
from stanchion_server.traces.selectors.metrics import GROUPS, ORDERS, MetricQuery, metrics
from stanchion_server.traces.selectors.overview import facets, overview, series, total
from stanchion_server.traces.selectors.radar import radar
from stanchion_server.traces.selectors.reading import Page, trace_id_or_none
from stanchion_server.traces.selectors.shapes import (
    CallDetail,
    CallSummary,
    CostExplanation,
    FacetValue,
    MappingView,
    MetricRow,
    Metrics,
    OtherRecord,
    Overview,
    Percentiles,
    RadarClient,
    SpanContent,
    SpanNode,
    TraceSummary,
    TraceView,
)
from stanchion_server.traces.selectors.trees import trace, traces

__all__ = [
    "GROUPS", "ORDERS", "CallDetail", "CallFilter", "CallSummary", "CostExplanation", "FacetValue", "MappingView",
    "MetricQuery", "MetricRow", "Metrics", "OtherRecord", "Overview", "Page", "Percentiles", "RadarClient",
    "SpanContent", "SpanNode", "TraceFilter", "TraceSummary", "TraceView", "call", "calls", "facets", "metrics",
    "overview", "radar", "series", "span_content", "total",
    "trace", "trace_id_or_none", "traces",
]  # fmt: skip
