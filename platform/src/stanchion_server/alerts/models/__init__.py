"""Tables of alerts: rules and their memory, incidents, times of quiet, owners, channels, the outbox, who did what."""

from stanchion_server.alerts.models.deliveries import Attempt, Channel, Notification
from stanchion_server.alerts.models.history import Change
from stanchion_server.alerts.models.incidents import Incident, IncidentEvent
from stanchion_server.alerts.models.quiet import MaintenanceWindow, Owner, Silence
from stanchion_server.alerts.models.rules import Evaluation, Rule, Severity, Standing, WatchRound

__all__ = [
    "Attempt",
    "Change",
    "Channel",
    "Evaluation",
    "Incident",
    "IncidentEvent",
    "MaintenanceWindow",
    "Notification",
    "Owner",
    "Rule",
    "Severity",
    "Silence",
    "Standing",
    "WatchRound",
]
