"""The support bot's guard: in the history the versions that were in force then, live what the server has in force now.

History and live run through the SDK's own guard, so the verdicts are real ones of the engine on the story's texts.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import stanchion_sdk as stanchion
from stanchion_demo import catalogue, storyline
from stanchion_demo.guard_policies import NAME, NO_TIME, VERSIONS
from stanchion_demo.steps import Conversation, Kind
from stanchion_demo.storyline import Story
from stanchion_sdk.guarding import bundles
from stanchion_sdk.guarding.guards import AppGuard
from stanchion_sdk.guarding.sources import Local

HASH_KEY = bytes(32)


@dataclass(frozen=True, slots=True)
class Era:
    """What was in force from a minute on, counted from the anchor."""

    from_minute: float
    live: int
    shadow: int | None = None
    canary: int | None = None
    canary_percent: int = 0


ERAS = (
    Era(storyline.ALWAYS, 1),
    Era(-8 * 1440, 1, shadow=2),
    Era(-5 * 1440, 1, canary=2, canary_percent=20),
    Era(-4 * 1440, 2),
    Era(-2 * 1440, 2, shadow=3),
)


class Guards:
    """The guard of a conversation; None where there is none, as in an outage."""

    def __init__(self, story: Story) -> None:
        self._story = story
        self._making = threading.Lock()
        self._of_era: dict[tuple[Era, bool], AppGuard] = {}

    @cached_property
    def _live(self) -> AppGuard:
        return stanchion.guard(NAME)

    def of(self, conversation: Conversation) -> AppGuard | None:
        if conversation.app is not catalogue.SUPPORT or Kind.GUARD_OUTAGE in conversation.planted:
            return None
        minute = (conversation.at - self._story.anchor).total_seconds() / 60
        if minute >= 0:
            return self._live
        era = [each for each in ERAS if each.from_minute <= minute][-1]
        return self.then(era, is_busy=Kind.GUARD_LATE in conversation.planted)

    def then(self, era: Era, *, is_busy: bool = False) -> AppGuard:
        """With what was in force in an era, without asking the server."""
        with self._making:
            key = (era, is_busy)
            if key not in self._of_era:
                entries = bundles.read(json.dumps(_bundle(era, is_busy=is_busy)).encode(), HASH_KEY)
                self._of_era[key] = AppGuard(Local(entries), NAME, "allow")
            return self._of_era[key]


def _bundle(era: Era, *, is_busy: bool) -> dict[str, Any]:
    """As the server would have sent it."""
    wanted = {number for number in (era.live, era.shadow, era.canary) if number is not None}
    documents = {str(number): NO_TIME if is_busy and number == era.live else VERSIONS[number][1] for number in wanted}
    policy = {
        "id": 1, "name": NAME, "live": era.live, "shadow": era.shadow, "shadow_until": None, "canary": era.canary,
        "canary_percent": era.canary_percent, "canary_until": None, "switch": "on", "switch_reason": "",
        "documents": documents,
    }  # fmt: skip
    return {"policies": [policy]}
