"""Nothing comes any more from where something came before. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from stanchion_server.alerts.conditions.watching import Watch
from stanchion_server.alerts.records import Ask, Judged, Labels, Readings


@dataclass(frozen=True, slots=True)
class Absence:
    """Bad for each group that had at least `min_samples` of the rule (one at least) in the `seen_within` before the
    window, and none in the window. What has been silent for longer is taken for gone for good."""

    seen_within: timedelta = timedelta(hours=24)
    is_up: bool | None = False

    def needs(self, watch: Watch, end: datetime) -> dict[str, Ask]:
        return {"now": watch.ask(end), "before": watch.ask(end - watch.window, self.seen_within)}

    def judge(self, watch: Watch, answers: Mapping[str, Readings]) -> dict[Labels, Judged]:
        now = {labels: sample for labels, sample in answers["now"].items() if sample.samples}
        found = {
            labels: Judged("good", float(sample.samples), 0.0, sample.samples, f"{sample.samples} came")
            for labels, sample in now.items()
        }
        minutes = watch.window.total_seconds() / 60
        for labels, sample in answers["before"].items():
            if labels not in now and sample.samples >= max(watch.min_samples, 1):
                reason = f"nothing for {minutes:g} minutes; {sample.samples} came before"
                found[labels] = Judged("bad", 0.0, 0.0, 0, reason)
        return found
