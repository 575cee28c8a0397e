"""What makes a value bad: one module per sort of condition, each with the windows it needs and its judgement. Pure.

A condition is a frozen dataclass with `needs(watch, end)`, the questions it asks by name, and `judge(readings)`, what
the answers mean, group by group.
"""

from __future__ import annotations

from stanchion_server.alerts.conditions.absence import Absence
from stanchion_server.alerts.conditions.baseline import Baseline
from stanchion_server.alerts.conditions.burning import BurnRate
from stanchion_server.alerts.conditions.releases import ReleaseChange
from stanchion_server.alerts.conditions.surge import Surge
from stanchion_server.alerts.conditions.threshold import Threshold

Condition = Threshold | Baseline | ReleaseChange | BurnRate | Absence | Surge

__all__ = ["Absence", "Baseline", "BurnRate", "Condition", "ReleaseChange", "Surge", "Threshold"]
