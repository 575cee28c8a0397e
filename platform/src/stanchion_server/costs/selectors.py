"""A project's price book, with what it hosts itself."""

from __future__ import annotations

from stanchion_server.costs.models import Deployment, PriceOverride
from stanchion_server.costs.pricing import Override, PriceBook
from stanchion_server.kernel import clock

FRESH_S = 30.0

_books: dict[int, tuple[float, PriceBook]] = {}


def book(project_id: int) -> PriceBook:
    """At most half a minute old; `forget` makes the next one new."""
    known = _books.get(project_id)
    if known is not None and clock.monotonic_s() - known[0] < FRESH_S:
        return known[1]
    overrides = [_override(row) for row in PriceOverride.objects.filter(project_id=project_id)]
    fresh = PriceBook.of(overrides, Deployment.objects.filter(project_id=project_id))
    _books[project_id] = (clock.monotonic_s(), fresh)
    return fresh


def forget() -> None:
    _books.clear()


def _override(row: PriceOverride) -> Override:
    return Override(
        override_id=row.pk,
        provider=row.provider,
        model=row.model,
        effective_from=row.effective_from,
        input_usd_per_mtok=row.input_usd_per_mtok,
        output_usd_per_mtok=row.output_usd_per_mtok,
        cached_input_usd_per_mtok=row.cached_input_usd_per_mtok,
        cache_write_usd_per_mtok=row.cache_write_usd_per_mtok,
        cache_write_1h_usd_per_mtok=row.cache_write_1h_usd_per_mtok,
        reasoning_usd_per_mtok=row.reasoning_usd_per_mtok,
        request_usd=row.request_usd,
    )
