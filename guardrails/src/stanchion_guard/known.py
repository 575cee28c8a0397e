"""What an earlier view of a text has shown already, so that one place is told once."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from itertools import accumulate

from stanchion_guard.records import Finding
from stanchion_guard.views import View

ALSO_UNESCAPED = frozenset(("decoded:escapes", "decoded:percent", "decoded:entities"))
"""Payloads that stand for a whole run, of which `unescaped` views mostly say the same and where it stands."""


class Known:
    """Ranges of the original text by label, and whether a finding in another `view` of it says more."""

    def __init__(self, findings: Iterable[Finding], view: View) -> None:
        ranges: dict[str, list[tuple[int, int]]] = {}
        for one in findings:
            ranges.setdefault(one.label, []).append((one.start, one.end))
        self._whole_runs = view.name in ALSO_UNESCAPED
        self._starts, self._ends = {}, {}
        for label, places in ranges.items():
            places.sort()
            self._starts[label] = [start for start, _ in places]
            self._ends[label] = [*accumulate((end for _, end in places), max)]

    def lacks(self, finding: Finding) -> bool:
        """Whether nothing with its label is known that holds it, or, for a whole run, that begins in it."""
        starts = self._starts.get(finding.label)
        if starts is None:
            return True
        at = bisect_right(starts, finding.start)
        if at > 0 and self._ends[finding.label][at - 1] >= finding.end:
            return False
        return not self._whole_runs or bisect_left(starts, finding.end) == bisect_left(starts, finding.start)


def fresh(view: View, findings: Iterable[Finding], found: Iterable[Finding]) -> list[Finding]:
    """Of the findings in a view those that say more than what was `found` in earlier ones."""
    known = Known(found, view)
    return [one for one in findings if known.lacks(one)]
