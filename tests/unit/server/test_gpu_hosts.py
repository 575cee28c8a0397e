"""Machines that send under one host name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from stanchion_server.gpu.selectors import Card, shared_hosts

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def card(name: str, minutes_ago: float = 0, *, host: str = "gpu-1", parent: str = "") -> Card:
    seen = NOON - timedelta(minutes=minutes_ago)
    return Card(1, f"{name}-{minutes_ago}-{host}", host, name, "L4", "nvidia", parent, "550", 24 << 30, "", "", "",
                seen - timedelta(days=9), seen)  # fmt: skip


def test_cards_of_one_name_that_send_together_are_of_several_machines() -> None:
    assert shared_hosts([card("gpu0"), card("gpu1"), card("gpu0", 1)]) == ("gpu-1",)
    others = [card("gpu0"), card("gpu0", host="gpu-2")]
    assert shared_hosts(others) == () and shared_hosts([*others, card("gpu0", 2, host="gpu-2")]) == ("gpu-2",)


def test_a_card_that_died_and_whose_number_another_has_is_no_second_machine() -> None:
    assert shared_hosts([card("gpu0", 6), card("gpu0")]) == ()


def test_instances_of_a_card_and_cards_without_a_name_tell_nothing() -> None:
    assert shared_hosts([card("gpu0/1", parent="a"), card("gpu0/1", 1, parent="b"), card(""), card("", 1)]) == ()
    assert shared_hosts([]) == ()
