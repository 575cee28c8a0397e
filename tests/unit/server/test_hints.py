"""Every reason the door can give for a refusal has advice for the sender on the intake page."""

import re
from pathlib import Path

import pytest

from stanchion_server.web.pages.hints import HINTS

SERVER = Path(__file__).resolve().parents[3] / "platform/src/stanchion_server"
DOOR = [SERVER / "web/otlp.py", *sorted((SERVER / "ingest").glob("*.py"))]
# Answered to the sender before anything is known of a project, so no project's page can show them.
BEFORE_A_PROJECT_IS_KNOWN = {"missing_key", "malformed_key", "invalid_key", "missing_scope"}


def reasons_of_the_door() -> set[str]:
    found: set[str] = set()
    for path in DOOR:
        found.update(re.findall(r'SenderError\(\s*"([a-z_0-9]+)"', path.read_text()))
    return found - BEFORE_A_PROJECT_IS_KNOWN


def test_the_door_has_reasons_to_check():
    assert {"undecodable", "compression_ratio", "unreadable_body"} <= reasons_of_the_door()


@pytest.mark.parametrize("reason", sorted(reasons_of_the_door()))
def test_a_refusal_of_the_door_comes_with_advice(reason):
    assert HINTS.get(reason)
