"""Which deployment a call ran on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from stanchion_server.costs import serving
from stanchion_server.costs.serving import Ran

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Version:
    name: str
    effective_from: datetime = NOON
    is_retired: bool = False
    match_provider: str = ""
    match_model: str = ""
    match_service: str = ""
    match_server: str = ""
    match_attribute: str = ""
    match_value: str = ""


def ran(**attributes: object) -> Ran:
    return Ran("vllm", ("llama", "llama-3", ""), "bot", attributes)


def test_the_newest_version_that_began_is_in_force_unless_it_is_the_end() -> None:
    versions = [
        Version("b", NOON + timedelta(hours=1), is_retired=True), Version("a", NOON), Version("b", NOON),
        Version("a", NOON - timedelta(hours=1), match_model="old"),
    ]  # fmt: skip
    assert serving.in_force(versions, NOON - timedelta(hours=2)) == []
    assert serving.in_force(versions, NOON) == [versions[1], versions[2]]
    assert serving.in_force(versions, NOON + timedelta(hours=1)) == [versions[1]]


def test_the_one_that_names_most_serves_and_the_first_by_name_among_equals() -> None:
    b, a = Version("b", match_model="LLAMA-3"), Version("a", match_service="bot")
    both = Version("z", match_model="llama", match_provider="VLLM")
    assert serving.served_by([b, a], ran()) is a
    assert serving.served_by([b, a, both], ran()) is both
    assert serving.served_by([Version("nothing")], ran()) is None


@pytest.mark.parametrize(
    ("match", "attributes", "fits"),
    [
        ({"match_server": "h"}, {"server.address": "h", "server.port": 1}, True),
        ({"match_server": "h:1"}, {"server.address": "h", "server.port": 1}, True),
        ({"match_server": "h:1"}, {"server.address": "h", "server.port": "1"}, True),
        ({"match_server": "h:1"}, {"server.address": "h:1"}, True),
        ({"match_server": "h:1"}, {"server.address": "h"}, False),
        ({"match_server": "h"}, {"server.port": "h"}, False),
        ({"match_attribute": "k", "match_value": "None"}, {"k": None}, False),
        ({"match_attribute": "k", "match_value": "None"}, {}, False),
        ({"match_attribute": "k", "match_value": "false"}, {"k": False}, True),
        ({"match_attribute": "k", "match_value": "100000000000000000000"}, {"k": 1e20}, True),
        ({"match_attribute": "k", "match_value": "8000.0"}, {"k": 8000.0}, True),
        ({"match_attribute": "k", "match_value": "['a']"}, {"k": ["a"]}, False),
        ({"match_provider": "openai"}, {}, False),
        ({"match_service": "Bot"}, {}, False),
    ],
)
def test_all_that_is_named_must_fit(match: dict[str, str], attributes: dict[str, object], *, fits: bool) -> None:
    assert (serving.served_by([Version("a", **match)], ran(**attributes)) is not None) is fits  # type: ignore[arg-type]


def test_only_values_that_some_version_asks_for_need_to_be_known() -> None:
    versions = [Version("a", match_server="h:1"), Version("b", match_attribute="k", match_value="v")]
    assert {("server.address", "h"), ("server.address", "h:1"), ("server.port", "1"), ("k", "v")} <= set(
        serving.wanted(versions)
    )
    assert serving.wanted([Version("c", match_model="m")]) == []
