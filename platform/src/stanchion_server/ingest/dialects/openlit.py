"""OpenLIT: OTel names, its own cost, a time to first token also on calls that did not stream, and defaults never
sent."""

from __future__ import annotations

from typing import Any

from stanchion_server.ingest.dialects.kinds import OPERATIONS
from stanchion_server.ingest.dialects.readers import cost, flag, text
from stanchion_server.ingest.dialects.shape import Dialect, Key

DIALECT = Dialect(
    name="openlit",
    scopes=("openlit",),
    markers=("gen_ai.usage.cost", "gen_ai.sdk.version"),
    keys=(
        Key("client_cost_usd", "gen_ai.usage.cost", cost),
        Key("user_id", "gen_ai.request.user", text),
        Key("is_streamed", "gen_ai.request.is_stream", flag),
        Key("is_streamed", "gen_ai.response.is_stream", flag),
        Key("environment", "gen_ai.environment", text),
        Key("feature", "gen_ai.application_name", text),
    ),
    kinds=(("gen_ai.operation.name", OPERATIONS),),
    known=("gen_ai.sdk.", "gen_ai.client.", "guard.", "gen_ai.server.", "gen_ai.hub."),
)


def without_defaults(told: dict[str, Any]) -> None:
    """OpenLIT writes a seed of 0 and empty penalties whether or not the application set them."""
    for field in ("seed", "param:frequency_penalty", "param:presence_penalty"):
        if told.get(field) == 0:
            told[field] = None
