"""Numbers: metrics by group and step, the values filters can take, and the convention radar."""

from __future__ import annotations

from datetime import timedelta

from rest_framework.request import Request
from rest_framework.response import Response

from stanchion_server.tenants.models import Scope
from stanchion_server.traces import selectors
from stanchion_server.web.api import base, parameters, shapes
from stanchion_server.web.api.calls import check_search
from stanchion_server.web.api.parameters import CALL_FILTERS, LIMIT, RANGE, Parameter

DAY = timedelta(days=1)
ORDERS = {name: name for name in selectors.ORDERS}
GROUPED = ", ".join(selectors.GROUPS)

FACETS_SCHEMA = {
    "type": "object",
    "additionalProperties": shapes.list_schema(selectors.FacetValue)["properties"]["items"],
}


class Metrics(base.Resource):
    known = (
        *RANGE,
        Parameter("step", parameters.length, "Length of a step: 1m, 5m, 1h, 1d… No step: one row per group."),
        Parameter(
            "group_by",
            parameters.names,
            f"At most two, comma-separated, of {GROUPED}, or attribute:<key> (needs `read:content`).",
        ),
        Parameter("order", parameters.one_of(ORDERS), "Which groups are the largest.", options=tuple(ORDERS)),
        LIMIT,
        *CALL_FILTERS,
    )

    @base.described(
        "read_metrics", "Sums, rates and percentiles of charged calls", shapes.schema_of(selectors.Metrics), known
    )
    def get(self, request: Request) -> Response:
        values = dict(self.values)
        start, end = parameters.time_range(values, DAY)
        wanted = parameters.call_filter_values(values)
        check_search(self, wanted, end - start)
        if any(name.startswith("attribute:") for name in values.get("group_by", ())):
            self.asker.require(Scope.READ_CONTENT)
        query = selectors.MetricQuery(start, end, filters=selectors.CallFilter(**wanted), **values)
        return self.answer(selectors.metrics(self.asker.project_id, query))


class Facets(base.Resource):
    known = RANGE

    @base.described("read_facets", "The values each dimension took", FACETS_SCHEMA, known)
    def get(self, request: Request) -> Response:
        start, end = parameters.time_range(dict(self.values), timedelta(days=7))
        return self.answer(selectors.facets(self.asker.project_id, start, end))


class Radar(base.Resource):
    known = RANGE[:2]

    @base.described(
        "read_radar", "How well each client is understood", shapes.list_schema(selectors.RadarClient), known
    )
    def get(self, request: Request) -> Response:
        start, _end = parameters.time_range(dict(self.values), timedelta(days=7))
        return self.answer({"items": selectors.radar(self.asker.project_id, start)})
