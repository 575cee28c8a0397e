"""Which groups were in an incident in a window of the past, while that window moves forward. Pure."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime

from stanchion_server.alerts.records import Labels, Window


@dataclass(slots=True)
class Trail:
    """Incidents along the way of one window, which begins and ends no sooner each time. An incident costs something
    only when the window reaches its beginning and when it has left its end: between, however many there are, nothing
    is looked at."""

    ahead: list[tuple[datetime, datetime, Labels]] = field(default_factory=list)
    inside: list[tuple[datetime, Labels]] = field(default_factory=list)
    counts: Counter[Labels] = field(default_factory=Counter)

    def add(self, labels: Labels, incident: Window) -> None:
        heapq.heappush(self.ahead, (incident.start, incident.end, labels))

    def hit(self, window: Window) -> AbstractSet[Labels]:
        """Groups with an incident that overlaps the window; good until the next call."""
        while self.ahead and self.ahead[0][0] < window.end:
            _start, end, labels = heapq.heappop(self.ahead)
            heapq.heappush(self.inside, (end, labels))
            self.counts[labels] += 1
        while self.inside and self.inside[0][0] <= window.start:
            _end, labels = heapq.heappop(self.inside)
            self.counts[labels] -= 1
            if not self.counts[labels]:
                del self.counts[labels]
        return self.counts.keys()
