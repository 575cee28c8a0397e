"""Who changed rules, channels, silences, windows and owners, and who acted on incidents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from stanchion_server.alerts import history
from stanchion_server.alerts.models import Change
from stanchion_server.web.api import base, parameters, shapes
from stanchion_server.web.api.alerts import whole
from stanchion_server.web.api.parameters import LIMIT, Parameter

KINDS = {kind: kind for kind in Change.Kind.values}
KNOWN = (
    Parameter("kind", parameters.one_of(KINDS), "Only changes of this sort of thing.", options=tuple(KINDS)),
    Parameter("number", whole, "Only of the thing with this id. Needs `kind`.", type="integer"),
    Parameter("before", whole, "Only older than the change with this id.", type="integer"),
    LIMIT,
)


@dataclass(frozen=True, slots=True)
class ChangeView:
    """`detail` maps what was changed to [before, after]; before is null where there was none. Secrets are
    named only."""

    id: int
    at: datetime
    actor: str
    kind: str
    number: int
    name: str
    action: str
    detail: Mapping[str, Any]


class History(base.Resource):
    known = KNOWN

    @base.described(
        "list_alert_changes", "Changes, the newest first", shapes.list_schema(ChangeView), KNOWN, tag="alerts"
    )
    def get(self, request: Request) -> Response:
        found = history.changes(self.asker.project_id, **{"limit": 50, **history.asked(self.values)})
        return self.answer({"items": [change_view(row) for row in found]})


def change_view(row: Change) -> ChangeView:
    return ChangeView(**{name: getattr(row, name) for name in ChangeView.__slots__})
