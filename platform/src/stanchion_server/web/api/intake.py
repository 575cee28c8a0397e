"""Ingest health: what arrived, what was refused and why."""

from __future__ import annotations

from datetime import timedelta

from rest_framework.request import Request
from rest_framework.response import Response

from stanchion_server.reports import intake
from stanchion_server.web.api import base, parameters, shapes
from stanchion_server.web.api.parameters import RANGE


class IngestHealth(base.Resource):
    known = RANGE[:2]

    @base.described(
        "read_ingest_health", "What arrived, by key and client", shapes.schema_of(intake.Intake), known, tag="ingest"
    )
    def get(self, request: Request) -> Response:
        start, _end = parameters.time_range(dict(self.values), timedelta(days=1))
        return self.answer(intake.intake(self.asker.project_id, start))
