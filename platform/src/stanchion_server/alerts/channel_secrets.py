"""What channels must keep secret: sealed in the database, opened only to send and to change.

`Channel.secrets` is empty or {"sealed": token}.
"""

from __future__ import annotations

from collections.abc import Mapping

from stanchion_server.alerts.models import Channel
from stanchion_server.kernel import sealing
from stanchion_server.kernel.errors import SenderError

UNREADABLE = (
    "Its secrets cannot be read, because the server's secret key has changed or they are damaged. Enter them again."
)


def sealed(values: Mapping[str, str]) -> dict[str, str]:
    """What to put into `Channel.secrets`."""
    return {"sealed": sealing.seal(values)} if values else {}


def opened(row: Channel) -> dict[str, str] | None:
    """None where they cannot be read."""
    if not row.secrets:
        return {}
    try:
        return sealing.unseal(str(row.secrets["sealed"]))
    except (sealing.Unreadable, KeyError):
        return None


def required(row: Channel) -> dict[str, str]:
    """SenderError where they cannot be read."""
    found = opened(row)
    if found is None:
        raise SenderError("secrets_unreadable", f"The channel “{row.name}”: {UNREADABLE}", 409)
    return found


def reseal(row: Channel) -> None:
    """Under the newest key, where a fallback key read them. The caller holds the row's lock."""
    found = opened(row)
    if found and not sealing.is_newest(str(row.secrets["sealed"])):
        row.secrets = sealed(found)
        row.save(update_fields=["secrets"])
