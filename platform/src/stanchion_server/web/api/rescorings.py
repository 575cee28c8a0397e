"""Recorded calls scored again, as after a new version of a scorer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from stanchion_server.quality import rescoring
from stanchion_server.quality.models import Rescoring
from stanchion_server.tenants.models import Scope
from stanchion_server.web.api import base, shapes
from stanchion_server.web.api.policies import checked

MOST = 100


@dataclass(frozen=True, slots=True)
class RescoringView:
    """`calls_opened` of `calls_total` have a job; what they say stands beside the scores of earlier versions."""

    id: int
    scorers: tuple[str, ...]
    features: tuple[str, ...]
    window_start: datetime
    window_end: datetime
    state: str
    calls_total: int
    calls_opened: int
    created_at: datetime
    created_by: str
    finished_at: datetime | None


class NewRescoring(serializers.Serializer[Any]):
    scorers = serializers.ListField(child=serializers.CharField(max_length=80), min_length=1, max_length=50)
    features = serializers.ListField(child=serializers.CharField(max_length=200), max_length=50, required=False)
    window_start = serializers.DateTimeField()
    window_end = serializers.DateTimeField()
    max_calls = serializers.IntegerField(
        min_value=1, max_value=rescoring.MAX_CALLS, required=False, default=rescoring.MAX_CALLS
    )


class Rescorings(base.Resource):
    write_scopes = (Scope.ADMIN,)

    @base.described("list_rescorings", "The newest first", shapes.list_schema(RescoringView), (), tag="quality")
    def get(self, request: Request) -> Response:
        rows = Rescoring.objects.filter(project_id=self.asker.project_id).order_by("-created_at")
        return self.answer({"items": [view_of(row) for row in rows[:MOST]]})

    @base.described(
        "add_rescoring", "Jobs are opened by and by", shapes.schema_of(RescoringView), (), tag="quality", status=201,
        request=NewRescoring,
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        said = checked(NewRescoring, request)
        wanted = rescoring.Wanted(
            tuple(said["scorers"]), said["window_start"], said["window_end"], tuple(said.get("features", ())),
            said["max_calls"],
        )  # fmt: skip
        row = rescoring.create(self.asker.project_id, wanted, self.asker.actor)
        return Response(shapes.plain(view_of(row), self.hidden), status=201)


class OneRescoring(base.Resource):
    write_scopes = (Scope.ADMIN,)

    @base.described(
        "cancel_rescoring", "No further jobs; those that are open are done", shapes.schema_of(RescoringView), (),
        "number", tag="quality",
    )  # fmt: skip
    def delete(self, request: Request, number: int) -> Response:
        rescoring.cancel(self.asker.project_id, number)
        row = Rescoring.objects.filter(project_id=self.asker.project_id, pk=number).first()
        if row is None:
            raise base.not_found("re-scoring", str(number))
        return self.answer(view_of(row))


def view_of(row: Rescoring) -> RescoringView:
    names = [name for name in RescoringView.__slots__ if name not in ("scorers", "features")]
    values = {name: getattr(row, name) for name in names}
    return RescoringView(scorers=tuple(row.scorers), features=tuple(row.features), **values)
