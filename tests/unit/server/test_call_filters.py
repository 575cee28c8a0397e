"""The filters of an address."""

from __future__ import annotations

import pytest

from stanchion_server.traces.selectors import measures
from stanchion_server.web.pages import callfilters


@pytest.mark.parametrize(
    ("given", "reads_calls"),
    [({}, False), ({"feature": "search"}, False), ({"kind": "llm"}, False), ({"user": "u-1"}, True)],
)
def test_sums_by_what_rollups_hold_are_read_from_rollups(given: dict[str, str], reads_calls: bool) -> None:
    wanted = callfilters.read(given).filter
    assert measures.needs_calls((), wanted) is reads_calls
    assert (wanted.start, wanted.end) == (None, None)
