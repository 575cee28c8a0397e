"""Stanchion in an application: `stanchion_sdk.init()` records the model calls it makes.

import stanchion_sdk as stanchion

stanchion.init()                      # STANCHION_ENDPOINT, STANCHION_API_KEY
with stanchion.feature("support"), stanchion.user("u-17"):
    client.chat.completions.create(...)
"""

from .calls import record_call
from .guarding import Blocked, guard
from .scope import current_span_id, current_trace_id, feature, prompt, propagate, session, tags
from .startup import VERSION as __version__
from .startup import dropped, feedback, flush, init, shutdown, user

__all__ = [
    "Blocked",
    "__version__",
    "current_span_id",
    "current_trace_id",
    "dropped",
    "feature",
    "feedback",
    "flush",
    "guard",
    "init",
    "prompt",
    "propagate",
    "record_call",
    "session",
    "shutdown",
    "tags",
    "user",
]
