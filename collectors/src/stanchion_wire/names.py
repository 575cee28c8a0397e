"""The attribute names Stanchion's own SDK writes. They win over every other vocabulary for the same field."""

from __future__ import annotations

from typing import Final

FEATURE: Final = "stanchion.feature"
USER: Final = "stanchion.user"
SESSION: Final = "stanchion.session"
PROMPT_NAME: Final = "stanchion.prompt.name"
PROMPT_VERSION: Final = "stanchion.prompt.version"
RELEASE: Final = "stanchion.release"
TAGS: Final = "stanchion.tags"

PREFIX: Final = "stanchion."
