"""What an earlier view of a text has shown already, so that one place is told once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate

from stanchion_guard.records import Finding


class Known:
    """Ranges of the original text by label."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        ranges: dict[str, list[tuple[int, int]]] = {}
        for one in findings:
            ranges.setdefault(one.label, []).append((one.start, one.end))
        self._starts, self._ends = {}, {}
        for label, places in ranges.items():
            places.sort()
            self._starts[label] = [start for start, _ in places]
            self._ends[label] = [*accumulate((end for _, end in places), max)]

    def holds(self, finding: Finding) -> bool:
        """Whether the finding lies within a range that is known for its label."""
        at = bisect_right(self._starts.get(finding.label, ()), finding.start)
        return at > 0 and self._ends[finding.label][at - 1] >= finding.end
