"""Where messages go: one module per kind, all pure. `render` makes requests of facts, `classify` reads the answer."""

from __future__ import annotations

from stanchion_server.alerts.channels import (
    alertmanager,
    discord,
    email,
    pagerduty,
    slack,
    slack_bot,
    teams,
    webhook,
)
from stanchion_server.alerts.channels.base import Kind

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        slack.KIND, slack_bot.KIND, pagerduty.KIND, webhook.KIND, alertmanager.KIND, email.KIND, teams.KIND,
        discord.KIND,
    )
}  # fmt: skip
