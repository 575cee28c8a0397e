"""Calls: the list, and one in full."""

from __future__ import annotations

from datetime import timedelta

from rest_framework.request import Request
from rest_framework.response import Response

from stanchion_server.feedback.selectors import Rated, call_conditions
from stanchion_server.kernel.errors import SenderError
from stanchion_server.tenants.models import Scope
from stanchion_server.traces import selectors
from stanchion_server.web.api import base, parameters, shapes
from stanchion_server.web.api.parameters import CALL_FILTERS, CHARGES, CURSOR, LIMIT, RANGE, Parameter

DEFAULT_RANGE = timedelta(days=7)
SEARCH_DAYS = 31

CHARGE = Parameter(
    "charge", parameters.one_of(dict(CHARGES)), "Which records; `charged` unless given.", options=tuple(CHARGES)
)
TRACE = Parameter("trace_id", parameters.text, "Only calls of this trace (32 hex digits).")
RATED = {rated.value: rated for rated in Rated}
RATING = Parameter(
    "rating",
    parameters.one_of(RATED),
    "Only calls with such a rating: of their trace, of their own span, or of the span directly around them.",
    options=tuple(RATED),
)


class Calls(base.Resource):
    known = (*RANGE, *CALL_FILTERS, CHARGE, TRACE, RATING, CURSOR, LIMIT)

    @base.described("list_calls", "Calls, the newest first", shapes.page_schema(selectors.CallSummary), known)
    def get(self, request: Request) -> Response:
        values = dict(self.values)
        start, end = parameters.time_range(values, DEFAULT_RANGE)
        cursor, limit = values.pop("cursor", None), values.pop("limit", 50)
        rated = values.pop("rating", None)
        if "trace_id" in values and selectors.trace_id_or_none(values["trace_id"]) is None:
            return self.answer(selectors.Page((), None))
        wanted = parameters.call_filter_values(values)
        check_search(self, wanted, end - start)
        project_id = self.asker.project_id
        also = call_conditions(project_id, rated) if rated else ()
        filters = selectors.CallFilter(start=start, end=end, **wanted, **values)
        return self.answer(selectors.calls(project_id, filters, cursor, limit, also=also))


class Call(base.Resource):
    @base.described("read_call", "One call in full", shapes.schema_of(selectors.CallDetail), (), "trace_id", "span_id")
    def get(self, request: Request, trace_id: str, span_id: str) -> Response:
        found = selectors.call(self.asker.project_id, trace_id, span_id)
        if found is None:
            raise base.not_found("call", f"{trace_id}/{span_id}")
        return self.answer(found)


def check_search(resource: base.Resource, wanted: dict[str, object], length: timedelta) -> None:
    """Searching texts and attributes tells what is in them, and reads every row: it needs the scope and a bound."""
    if not ({"text", "attributes"} & set(wanted)):
        return
    resource.asker.require(Scope.READ_CONTENT)
    if length > timedelta(days=SEARCH_DAYS, hours=1):
        raise SenderError("range_too_long", f"`text` and `attribute` search at most {SEARCH_DAYS} days at once.")
