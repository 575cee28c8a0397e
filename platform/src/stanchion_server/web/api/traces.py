"""Traces: the list of roots, and one as a tree."""

from __future__ import annotations

from datetime import timedelta

from rest_framework.request import Request
from rest_framework.response import Response

from stanchion_server.tenants.models import Scope
from stanchion_server.traces import selectors
from stanchion_server.web.api import base, parameters, shapes
from stanchion_server.web.api.parameters import CURSOR, DURATIONS, KIND, LIMIT, RANGE, STATUS, Parameter

DEFAULT_RANGE = timedelta(days=7)
NAMES = {
    "name": "name",
    "feature": "feature",
    "session": "session_id",
    "environment": "environment",
    "service": "service",
}


class Traces(base.Resource):
    known = (
        *RANGE,
        Parameter("name", parameters.text, "Found in the name of the root span."),
        *(Parameter(name, parameters.text, f"Only traces with exactly this {name}.") for name in list(NAMES)[1:]),
        KIND,
        STATUS,
        *DURATIONS,
        CURSOR,
        LIMIT,
    )

    @base.described(
        "list_traces", "Traces by their root spans, the newest first", shapes.page_schema(selectors.TraceSummary), known
    )
    def get(self, request: Request) -> Response:
        values = dict(self.values)
        start, end = parameters.time_range(values, DEFAULT_RANGE)
        cursor, limit = values.pop("cursor", None), values.pop("limit", 50)
        renamed = {NAMES.get(name, name): value for name, value in values.items()}
        wanted = selectors.TraceFilter(start=start, end=end, **renamed)
        return self.answer(selectors.traces(self.asker.project_id, wanted, cursor, limit))


class Trace(base.Resource):
    @base.described(
        "read_trace", "One trace as a tree, depth first", shapes.schema_of(selectors.TraceView), (), "trace_id"
    )
    def get(self, request: Request, trace_id: str) -> Response:
        found = selectors.trace(self.asker.project_id, trace_id)
        if found is None:
            raise base.not_found("trace", trace_id)
        return self.answer(found)


class SpanContent(base.Resource):
    scope = Scope.READ_CONTENT

    @base.described(
        "read_span",
        "Texts and attributes of one span",
        shapes.schema_of(selectors.SpanContent),
        (),
        "trace_id",
        "span_id",
    )
    def get(self, request: Request, trace_id: str, span_id: str) -> Response:
        found = selectors.span_content(self.asker.project_id, trace_id, span_id)
        if found is None:
            raise base.not_found("span", f"{trace_id}/{span_id}")
        return self.answer(found)
