"""What a call costs: the public list, the project's own prices, and honesty where neither knows."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.calls import NOON, call
from stanchion_server.costs import price_list, pricing
from stanchion_server.costs.pricing import Override, PriceBook
from stanchion_server.ingest.records import CostConfidence, SpanKind, TokenSource

LIST_ONLY = PriceBook()


def override(number: int = 1, **values: object) -> Override:
    defaults = {
        "provider": "openai",
        "model": "gpt-4o-mini",
        "effective_from": NOON - timedelta(days=1),
        "input_usd_per_mtok": Decimal(1),
        "output_usd_per_mtok": Decimal(2),
    }
    return Override(number, **(defaults | values))  # type: ignore[arg-type]


def test_the_openai_reference_call_costs_what_its_price_list_says() -> None:
    cost = pricing.price(call(input_tokens=1100, cached_input_tokens=1000, output_tokens=60), LIST_ONLY)
    assert cost.usd == Decimal("0.000126")
    assert cost.confidence is CostConfidence.HIGH
    assert cost.rule == "cached_input_included"
    assert cost.price == f"{price_list.version()} openai/gpt-4o-mini"


def test_the_anthropic_reference_call_counts_each_cache_bucket_once() -> None:
    record = call(
        provider="anthropic", request_model="claude-sonnet-4-5", response_model="claude-sonnet-4-5-20250929",
        input_tokens=1250, cached_input_tokens=1000, cache_write_tokens=200, output_tokens=60,
    )  # fmt: skip
    assert pricing.price(record, LIST_ONLY).usd == Decimal("0.0021")


def test_a_one_hour_cache_write_has_its_own_price() -> None:
    usage = {"input_tokens": 1000, "cache_write_tokens": 1000, "output_tokens": 0}
    model = {"provider": "anthropic", "request_model": "claude-sonnet-4-5"}
    short = pricing.price(call(**model, **usage), LIST_ONLY)
    long = pricing.price(call(**model, **usage, cache_write_1h_tokens=1000), LIST_ONLY)
    assert (short.usd, long.usd) == (Decimal("0.00375"), Decimal("0.006"))
    assert "cache_write_1h" in long.rule


def test_more_than_200k_input_tokens_move_the_whole_call_to_the_long_context_price() -> None:
    model = {"provider": "gcp.gemini", "request_model": "gemini-2.5-pro", "output_tokens": 0}
    assert pricing.price(call(**model, input_tokens=200_000), LIST_ONLY).usd == Decimal("0.25")
    above = pricing.price(call(**model, input_tokens=200_001), LIST_ONLY)
    assert above.usd == Decimal("0.5000025")
    assert "long_context_tier" in above.rule


def test_embeddings_are_priced_by_input_alone() -> None:
    record = call(
        kind=SpanKind.EMBEDDING, request_model="text-embedding-3-small", input_tokens=1_000_000, output_tokens=None
    )
    assert pricing.price(record, LIST_ONLY).usd == Decimal("0.02")


def test_a_service_tier_has_its_own_price_where_the_list_has_one() -> None:
    tokens = {"request_model": "gpt-5", "input_tokens": 1_000_000, "output_tokens": 0}
    standard = pricing.price(call(**tokens), LIST_ONLY)
    flex = pricing.price(call(**tokens, service_tier="flex"), LIST_ONLY)
    odd = pricing.price(call(**tokens, service_tier="gold"), LIST_ONLY)
    assert standard.usd is not None
    assert flex.usd == standard.usd / 2
    assert (odd.usd, odd.confidence) == (standard.usd, CostConfidence.LOW)
    assert "service_tier_unpriced" in odd.rule


@pytest.mark.parametrize(("tier", "times"), [("batch", "0.5"), ("priority", "1.75"), ("default", "1")])
def test_tiers_that_the_list_knows_are_charged_as_sure_as_the_usual_one(tier: str, times: str) -> None:
    tokens = {"request_model": "gpt-4.1", "input_tokens": 1_000, "cached_input_tokens": 0, "output_tokens": 10}
    usual = pricing.price(call(**tokens), LIST_ONLY)
    found = pricing.price(call(**tokens, service_tier=tier), LIST_ONLY)
    assert usual.usd is not None and found.usd == usual.usd * Decimal(times)
    assert (found.confidence, usual.confidence) == (CostConfidence.HIGH, CostConfidence.HIGH)


@pytest.mark.parametrize(
    ("provider", "model", "same_as"),
    [
        ("aws.bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", None),
        ("aws.bedrock", "anthropic.claude-3-5-sonnet-20240620-v1:0", None),
        ("azure.ai.openai", "gpt-4o-2024-08-06", "gpt-4o"),
        ("gcp.gemini", "models/gemini-2.5-flash", "gemini-2.5-flash"),
        ("litellm", "openai/gpt-4o-mini", None),
        ("", "gpt-4o-mini", None),
        ("x_ai", "grok-4", None),
        ("gcp.vertex_ai", "claude-sonnet-4-5@20250929", None),
    ],
)
def test_names_with_prefixes_and_dates_find_their_model(provider: str, model: str, same_as: str | None) -> None:
    cost = pricing.price(call(provider=provider, request_model=model), LIST_ONLY)
    assert cost.usd is not None
    if same_as:
        assert cost.usd == pricing.price(call(provider=provider, request_model=same_as), LIST_ONLY).usd


def test_a_response_model_without_a_price_falls_back_to_the_request_model_with_less_confidence() -> None:
    cost = pricing.price(call(response_model="snapshot-7f3a"), LIST_ONLY)
    assert cost.usd == pricing.price(call(), LIST_ONLY).usd
    assert cost.confidence is CostConfidence.MEDIUM


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"request_model": "in-house-7b", "provider": "acme"}, "no_price"),
        ({"request_model": "llama3:8b", "provider": "ollama"}, "no_price"),
        ({"request_model": ""}, "no_model"),
        ({"input_tokens": None, "output_tokens": None}, "no_tokens"),
        ({"input_tokens": None}, "no_input_tokens"),
        ({"output_tokens": None}, "no_output_tokens"),
        ({"input_tokens": -5}, "negative_tokens"),
        ({"input_tokens": 2**62}, "implausible_tokens"),
    ],
)
def test_what_is_not_known_has_no_price_and_a_reason(changes: dict[str, object], code: str) -> None:
    cost = pricing.price(call(**changes), LIST_ONLY)
    assert cost.usd is None
    assert cost.rule == code
    assert cost.reason.endswith(".")


def test_estimated_tokens_and_impossible_cache_counts_lower_the_confidence() -> None:
    assert pricing.price(call(token_source=TokenSource.ESTIMATED), LIST_ONLY).confidence is CostConfidence.LOW
    assert pricing.price(call(tokens_ambiguous=True), LIST_ONLY).confidence is CostConfidence.LOW
    capped = pricing.price(call(input_tokens=10, cached_input_tokens=50, output_tokens=0), LIST_ONLY)
    assert (capped.usd, capped.confidence) == (Decimal("0.00000075"), CostConfidence.LOW)


def test_the_project_s_own_price_wins_over_the_list_from_its_date_on() -> None:
    book = PriceBook.of(
        [
            override(1, effective_from=NOON - timedelta(days=10)),
            override(2, effective_from=NOON, input_usd_per_mtok=Decimal(5)),
            override(3, effective_from=NOON + timedelta(hours=1), input_usd_per_mtok=Decimal(9)),
        ]
    )
    one_million = {"input_tokens": 1_000_000, "output_tokens": 0}
    now = pricing.price(call(**one_million), book)
    assert (now.usd, now.price) == (Decimal(5), "override 2")
    before = pricing.price(call(**one_million, start_time=NOON - timedelta(seconds=1)), book)
    assert before.usd == Decimal(1)
    long_ago = pricing.price(call(**one_million, start_time=NOON - timedelta(days=11)), book)
    assert long_ago.usd == Decimal("0.15")


def test_an_override_without_a_cache_price_charges_cached_tokens_like_input() -> None:
    book = PriceBook.of([override(request_usd=Decimal("0.5"), reasoning_usd_per_mtok=Decimal(4))])
    cost = pricing.price(call(input_tokens=100, cached_input_tokens=40, output_tokens=10, reasoning_tokens=10), book)
    assert cost.usd == Decimal("0.5") + (100 * Decimal(1) + 10 * Decimal(4)) / 1_000_000


def test_input_and_output_have_different_prices_per_thousand_and_per_million() -> None:
    """The worked prompt price of the requirements: 56 + 80 tokens at 0.0015 and 0.002 per thousand."""
    book = PriceBook.of([override(input_usd_per_mtok=Decimal("1.5"), output_usd_per_mtok=Decimal(2))])
    assert pricing.price(call(input_tokens=56, output_tokens=80), book).usd == Decimal("0.000244")
    assert pricing.price(call(input_tokens=13, output_tokens=7), book).usd == Decimal("0.0000335")


@pytest.mark.parametrize(
    ("rates", "per_turn"),
    [(("60", "120"), "0.018"), (("3", "4"), "0.0007"), (("11.02", "32.68"), "0.00437"), (("1.63", "5.51"), "0.000714")],
)
def test_the_calculator_s_cost_per_turn_of_100_and_100_tokens(rates: tuple[str, str], per_turn: str) -> None:
    book = PriceBook.of([override(input_usd_per_mtok=Decimal(rates[0]), output_usd_per_mtok=Decimal(rates[1]))])
    assert pricing.price(call(input_tokens=100, output_tokens=100), book).usd == Decimal(per_turn)


def test_a_price_depends_on_the_hour_where_the_list_says_so() -> None:
    night = datetime(2025, 6, 2, 20, 0, tzinfo=UTC)
    model = {"provider": "deepseek", "request_model": "deepseek-chat", "input_tokens": 1_000_000, "output_tokens": 0}
    by_night = pricing.price(call(**model, start_time=night), LIST_ONLY).usd
    by_day = pricing.price(call(**model, start_time=night.replace(hour=10)), LIST_ONLY).usd
    assert by_night is not None and by_day is not None
    assert by_night < by_day


@given(
    fresh=st.integers(0, 10**6), cached=st.integers(0, 10**6), written=st.integers(0, 10**6), out=st.integers(0, 10**6)
)
def test_a_call_never_costs_more_than_all_its_tokens_at_the_dearest_rate(
    fresh: int, cached: int, written: int, out: int
) -> None:
    usage = {"input_tokens": fresh, "cached_input_tokens": cached, "cache_write_tokens": written, "output_tokens": out}
    cost = pricing.price(call(**usage), LIST_ONLY)
    assert cost.usd is not None
    assert 0 <= cost.usd <= (fresh * Decimal("0.15") + out * Decimal("0.6")) / 1_000_000


@pytest.mark.parametrize("model", ["gpt-4o-mini", "gpt-4o", "gpt-4.1", "gpt-5-mini"])
def test_our_resolved_rates_agree_with_the_library_s_own_calculation(model: str) -> None:
    from genai_prices import Usage, calc_price

    usage = Usage(input_tokens=1100, cache_read_tokens=1000, output_tokens=60)
    theirs = calc_price(usage, model, provider_id="openai", genai_request_timestamp=NOON).total_price
    ours = pricing.price(
        call(request_model=model, input_tokens=1100, cached_input_tokens=1000, output_tokens=60), LIST_ONLY
    )
    assert ours.usd == theirs


def test_pricing_a_call_again_is_cheap() -> None:
    record = call(input_tokens=1100, cached_input_tokens=1000)
    pricing.price(record, LIST_ONLY)
    start = time.process_time()
    for _ in range(1000):
        pricing.price(record, LIST_ONLY)
    assert (time.process_time() - start) / 1000 < 100e-6


def test_a_client_that_leaves_cached_tokens_out_gives_an_upper_bound_and_says_so() -> None:
    cost = pricing.price(call(input_tokens=1100, output_tokens=60), LIST_ONLY)
    assert (cost.usd, cost.confidence) == (Decimal("0.000201"), CostConfidence.MEDIUM)
    assert cost.rule == "cached_input_unreported"
    too_short_to_cache = pricing.price(call(input_tokens=1023, output_tokens=60), LIST_ONLY)
    assert (too_short_to_cache.rule, too_short_to_cache.confidence) == ("input_and_output", CostConfidence.HIGH)


@pytest.mark.parametrize("host", ["vllm", "lm_studio", "localai", "llamacpp", "sglang", "tgi"])
def test_what_a_self_hosted_model_is_called_is_no_price(host: str) -> None:
    assert price_list.look_up(host, "gpt-4o-mini", NOON, "") is None
    assert price_list.look_up(host, "mistral-7b", NOON, "") is None
