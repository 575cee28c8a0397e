"""People's verdicts on pairs of questions that a cache by likeness took for one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stanchion_server.costs import savings
from stanchion_server.costs.models import PairVerdict
from stanchion_server.kernel import clock
from stanchion_server.kernel.errors import SenderError

SAYS = tuple(says.value for says in PairVerdict.Says)


def give(project_id: int, pair: str, says: str, actor: str) -> tuple[Mapping[str, Any], PairVerdict]:
    """The pair as it was drawn, and what is said of it now. The newest word replaces the older one, and stays when
    another look draws the pair again. Raises SenderError for a word that is none, and 404 for a pair that the last look
    did not draw."""
    if says not in SAYS:
        raise SenderError("bad_verdict", f"verdict: {says[:80]!r} is none. Say one of {', '.join(SAYS)}.")
    judged = next((one for one in drawn(project_id) if one.get("id") == pair), None)
    if judged is None:
        raise SenderError("not_found", f"The last look has no pair {pair[:80]!r}, or not any more.", 404)
    values = {"says": says, "judged_at": clock.now(), "judged_by": actor}
    row, _is_new = PairVerdict.objects.update_or_create(project_id=project_id, pair=pair, defaults=values)
    return judged, row


def given(project_id: int, pairs: Sequence[str]) -> dict[str, PairVerdict]:
    """By pair; of those that were judged."""
    return {row.pair: row for row in PairVerdict.objects.filter(project_id=project_id, pair__in=pairs)}


def drawn(project_id: int) -> Sequence[Mapping[str, Any]]:
    """The pairs of the last look, as `reports.savings_caches` writes them; none before the first."""
    report = savings.of(project_id)
    cache = (report.body.get("cache") if report else None) or {}
    return cache.get("pairs") or []
