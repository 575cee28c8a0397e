"""The log of deliveries: messages with their attempts, and sending a failed one again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from stanchion_server.alerts import channel_selectors as selectors
from stanchion_server.alerts import channel_services as services
from stanchion_server.alerts.models import Attempt, Notification
from stanchion_server.tenants.models import Scope
from stanchion_server.web.api import base, parameters, shapes
from stanchion_server.web.api.parameters import CURSOR, LIMIT, Parameter

STATES = ("waiting", "delivered", "failed", "superseded")


def _number(value: str) -> int:
    if not value.isascii() or not value.isdecimal() or len(value) > 18:
        raise ValueError("a whole number")
    return int(value)


LISTED = (
    Parameter("channel", _number, "Only to this channel, by its id.", type="integer"),
    Parameter("incident", _number, "Only of this incident, by its number.", type="integer"),
    Parameter("state", parameters.one_of({name: name for name in STATES}), "Only in this state.", options=STATES),
    CURSOR,
    LIMIT,
)


@dataclass(frozen=True, slots=True)
class DeliveryView:
    """`incident` is null for a test. `outcome` is what the last attempt came to."""

    id: int
    incident: int | None
    channel: int
    channel_name: str
    kind: str
    state: str
    attempts: int
    outcome: str
    next_attempt_at: datetime | None
    created_at: datetime
    finished_at: datetime | None
    copy_of: int | None


@dataclass(frozen=True, slots=True)
class AttemptView:
    """`answer` is the first kilobyte, secrets masked. `outcome` is unknown where a worker died before the answer."""

    at: datetime
    outcome: str
    status: int | None
    latency_ms: int | None
    text: str
    answer: str
    next_attempt_at: datetime | None


@dataclass(frozen=True, slots=True)
class DeliveryDetail:
    delivery: DeliveryView
    tries: tuple[AttemptView, ...]


class Deliveries(base.Resource):
    known = LISTED

    @base.described(
        "list_deliveries", "Messages, the newest first", shapes.page_schema(DeliveryView), LISTED, tag="alerts"
    )
    def get(self, request: Request) -> Response:
        said = self.values
        page = selectors.deliveries(
            self.asker.project_id, said.get("channel"), said.get("state"), said.get("cursor"), said.get("limit", 50),
            said.get("incident"),
        )  # fmt: skip
        return self.answer({"items": [delivery_view(row) for row in page.items], "next_cursor": page.next_cursor})


class OneDelivery(base.Resource):
    @base.described(
        "read_delivery", "One message with its attempts, the newest first", shapes.schema_of(DeliveryDetail), (),
        "number", tag="alerts",
    )  # fmt: skip
    def get(self, request: Request, number: int) -> Response:
        row = delivery_of(self, number)
        tries = tuple(attempt_view(one) for one in selectors.attempts(self.asker.project_id, row.pk))
        return self.answer(DeliveryDetail(delivery_view(row), tries))


class Resend(base.Resource):
    write_scopes = (Scope.ADMIN,)

    @base.described(
        "resend_delivery", "A failed message, from the start", shapes.schema_of(DeliveryView), (), "number",
        tag="alerts", request=None,
    )  # fmt: skip
    def post(self, request: Request, number: int) -> Response:
        row = services.resend(self.asker.project_id, delivery_of(self, number).pk)
        return self.answer(delivery_view(row))


def delivery_of(resource: base.Resource, number: int) -> Notification:
    found = selectors.delivery(resource.asker.project_id, number)
    if found is None:
        raise base.not_found("delivery", str(number))
    return found


def delivery_view(row: Notification) -> DeliveryView:
    same: dict[str, Any] = {
        name: getattr(row, name) for name in ("kind", "state", "attempts", "outcome", "created_at", "finished_at")
    }
    return DeliveryView(
        id=row.pk, incident=row.incident_id, channel=row.channel_id, channel_name=row.channel.name,
        copy_of=row.copy_of_id, next_attempt_at=row.next_attempt_at if row.state == "waiting" else None, **same,
    )  # fmt: skip


def attempt_view(row: Attempt) -> AttemptView:
    return AttemptView(**{name: getattr(row, name) for name in AttemptView.__slots__})
