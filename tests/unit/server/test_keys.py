from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from stanchion_server.kernel.rate import TokenBuckets
from stanchion_server.tenants import keys


def test_a_new_key_has_the_documented_shape_and_comes_apart_again() -> None:
    key = keys.make_key("test")
    text = str(key)
    assert re.fullmatch(r"stn_test_[0-9A-Za-z]{12}_[0-9A-Za-z]{32}[0-9A-Za-z]{6}", text)
    assert keys.parse(text) == key


def test_any_single_changed_character_is_noticed_without_a_query() -> None:
    text = str(keys.make_key())
    for place in range(len("stn_live_"), len(text)):
        changed = text[:place] + ("x" if text[place] != "x" else "y") + text[place + 1 :]
        assert keys.parse(changed) is None


@given(st.text(max_size=120))
def test_no_other_text_is_a_key(text: str) -> None:
    assert keys.parse(text) is None


def test_a_secret_matches_only_its_own_digest() -> None:
    one, other = keys.make_key(), keys.make_key()
    assert keys.matches(one.secret, keys.digest(one.secret))
    assert not keys.matches(other.secret, keys.digest(one.secret))


def test_the_secret_does_not_show_in_a_repr() -> None:
    key = keys.make_key()
    assert key.secret not in repr(key)


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    buckets = TokenBuckets(rate_per_s=1.0, burst=3, max_names=10)
    assert [buckets.take("a", 100.0) for _ in range(4)] == [True, True, True, False]
    assert not buckets.has_token("a", 100.5)
    assert buckets.take("a", 101.0)
    assert buckets.take("b", 101.0)


def test_the_table_of_buckets_forgets_the_oldest_name_instead_of_growing() -> None:
    buckets = TokenBuckets(rate_per_s=1.0, burst=1, max_names=100)
    for number in range(1_000):
        buckets.take(str(number), 0.0)
    assert len(buckets) == 100
