"""Prices a project pays instead of the public list. A price is never changed: a later one takes over from its date."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from stanchion_server.costs.models import PriceOverride
from stanchion_server.costs.selectors import forget
from stanchion_server.kernel.errors import SenderError
from stanchion_server.tenants.models import Scope
from stanchion_server.web.api import base, parameters, shapes

MAX_PRICES = 1_000
RATES = (
    "cached_input_usd_per_mtok",
    "cache_write_usd_per_mtok",
    "cache_write_1h_usd_per_mtok",
    "reasoning_usd_per_mtok",
)


@dataclass(frozen=True, slots=True)
class Price:
    id: int
    provider: str
    model: str
    effective_from: datetime
    input_usd_per_mtok: Decimal
    output_usd_per_mtok: Decimal
    cached_input_usd_per_mtok: Decimal | None
    cache_write_usd_per_mtok: Decimal | None
    cache_write_1h_usd_per_mtok: Decimal | None
    reasoning_usd_per_mtok: Decimal | None
    request_usd: Decimal
    note: str


def _rate(*, is_required: bool) -> serializers.DecimalField:
    return serializers.DecimalField(14, 6, min_value=Decimal(0), required=is_required, allow_null=not is_required)


class NewPrice(serializers.Serializer[Any]):
    """US dollars per million tokens. A bucket left out is charged like the one that contains it."""

    provider = serializers.CharField(max_length=60)
    model = serializers.CharField(max_length=200)
    effective_from = serializers.DateTimeField()
    input_usd_per_mtok = _rate(is_required=True)
    output_usd_per_mtok = _rate(is_required=True)
    cached_input_usd_per_mtok = _rate(is_required=False)
    cache_write_usd_per_mtok = _rate(is_required=False)
    cache_write_1h_usd_per_mtok = _rate(is_required=False)
    reasoning_usd_per_mtok = _rate(is_required=False)
    request_usd = serializers.DecimalField(14, 6, min_value=Decimal(0), required=False)
    note = serializers.CharField(max_length=200, required=False, allow_blank=True)


class Prices(base.Resource):
    scope = Scope.ADMIN

    @base.described("list_prices", "Prices of your own", shapes.list_schema(Price), (), tag="prices")
    def get(self, request: Request) -> Response:
        rows = PriceOverride.objects.filter(project_id=self.asker.project_id).order_by(
            "provider", "model", "-effective_from"
        )
        return self.answer({"items": [_price(row) for row in rows[:MAX_PRICES]]})

    @base.described("add_price", "A new price", shapes.schema_of(Price), (), tag="prices", status=201, request=NewPrice)
    def post(self, request: Request) -> Response:
        values = _checked(_body(request))
        try:
            with transaction.atomic():
                row = PriceOverride.objects.create(project_id=self.asker.project_id, **values)
        except IntegrityError as error:
            raise SenderError(
                "price_exists", "This model has a price from that very moment. Choose another `effective_from`.", 409
            ) from error
        forget()
        return Response(shapes.plain(_price(row)), status=201)


def _body(request: Request) -> Any:
    if int(request.META.get("CONTENT_LENGTH") or 0) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
        raise SenderError("too_large", "The body is larger than a price can be.", 413)
    return request.data


def _checked(data: Any) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise SenderError("bad_body", "The body must be a JSON object.")
    form = NewPrice(data=data)
    unknown = sorted(set(data) - set(form.fields))
    if unknown:
        raise SenderError("unknown_field", f"{unknown[0][:80]!r} is not a field. Known: {', '.join(form.fields)}.")
    if not form.is_valid():
        field, reasons = next(iter(form.errors.items()))
        raise SenderError("bad_field", f"{field}: {reasons[0]}")
    values: dict[str, Any] = form.validated_data
    if not parameters.EARLIEST <= values["effective_from"] <= parameters.LATEST:
        raise SenderError("bad_field", "effective_from: a time between the years 2000 and 2200.")
    return values


def _price(row: PriceOverride) -> Price:
    return Price(
        row.pk, row.provider, row.model, row.effective_from, row.input_usd_per_mtok, row.output_usd_per_mtok,
        row.cached_input_usd_per_mtok, row.cache_write_usd_per_mtok, row.cache_write_1h_usd_per_mtok,
        row.reasoning_usd_per_mtok, row.request_usd, row.note,
    )  # fmt: skip
