"""The checks in `kit.contract` say what differs, as those in the tests do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

pytest.register_assert_rewrite("kit.contract")

if TYPE_CHECKING:
    from kit.contract import Door


@pytest.fixture
def live_door(live_server: Any) -> Door:
    """Our server on a port of its own, with a fresh project."""
    from kit.contract import open_door

    return open_door(live_server.url)
