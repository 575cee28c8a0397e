"""One row per request that arrived, so that sent = stored + duplicate + rejected can be checked for any stretch
of time.

Stored requests get their row from `traces.store`, in the transaction that stores them. Refused ones (undecodable, too
large, over quota, overload) are counted here and written together, at most once a second.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """What is known of a request before it is stored; `stored` and `duplicate` come from the store.

    `rejected` counts items this side refused, `reasons` the same by reason code; `altered` counts items accepted with a
    change, `alterations` them by lower-case name of `records.Alteration` (an item may have several). `client` is bounded
    text, see `ingest.clients`.
    """

    api_key_id: int
    signal: str
    client: str
    body_bytes: int
    sent: int
    rejected: int = 0
    altered: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    alterations: Mapping[str, int] = field(default_factory=dict)
    detail: str = ""
