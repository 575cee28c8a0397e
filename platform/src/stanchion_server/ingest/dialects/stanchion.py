"""Our own keys: what the application says about itself outranks what any instrumentation guesses."""

from __future__ import annotations

from stanchion_server.ingest.dialects.readers import text, texts
from stanchion_server.ingest.dialects.shape import Dialect, Key, Rank
from stanchion_wire import names

DIALECT = Dialect(
    name="stanchion",
    rank=Rank.OWN,
    scopes=("stanchion_sdk",),
    markers=(names.PREFIX,),
    keys=(
        Key("feature", names.FEATURE, text),
        Key("user_id", names.USER, text),
        Key("session_id", names.SESSION, text),
        Key("prompt_name", names.PROMPT_NAME, text),
        Key("prompt_version", names.PROMPT_VERSION, text),
        Key("release", names.RELEASE, text),
        Key("tags", names.TAGS, texts),
    ),
    known=(names.PREFIX,),
)
