"""A version that judges beside the live one: how often it would have done something else, and what."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpResponse
from django.views.decorators.http import require_GET

from stanchion_server.kernel.errors import SenderError
from stanchion_server.policies import selectors
from stanchion_server.policies.selectors import Disagreement
from stanchion_server.web.pages.frame import Visit, project_page
from stanchion_server.web.pages.guardrails import policy_of
from stanchion_wire.decisions import ACTIONS

STRENGTH = {action: place for place, action in enumerate(ACTIONS)}


@dataclass(frozen=True, slots=True)
class Cell:
    """How many checks: `sort` is "same", "stricter" or "milder", for what the second version does."""

    action: str
    count: int
    sort: str


@dataclass(frozen=True, slots=True)
class Matrix:
    """Rows: what was done; cells: what the other version does. Actions that nobody took are left out."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    agreeing: int
    stricter: int
    milder: int


@require_GET
@project_page
def shadow(visit: Visit, name: str) -> HttpResponse:
    policy = policy_of(visit, name)
    seen = selectors.shadowed(visit.project.pk, policy.name, visit.span.start, visit.span.end)
    asked = visit.request.GET.get("version", "")
    if len(asked) > 200 or "\0" in asked:
        raise SenderError("bad_version", "A version is a number.")
    version = asked or (str(policy.shadow) if policy.shadow else seen[-1] if seen else "")
    found = None
    if version:
        found = selectors.disagreement(visit.project.pk, policy.name, version, visit.span.start, visit.span.end)
    return visit.render(
        "pages/policy_shadow.html",
        "guardrails",
        policy=policy,
        tab="shadow",
        version=version,
        is_current=version == str(policy.shadow),
        seen=seen,
        found=found,
        matrix=_of(found) if found else None,
    )


def _of(found: Disagreement) -> Matrix:
    return matrix({(live, other): count for live, other, count in _summed(found)})


def _summed(found: Disagreement) -> list[tuple[str, str, int]]:
    """Several live versions may have stood beside the shadow in one window."""
    total: dict[tuple[str, str], int] = {}
    for live, other, count in found.pairs:
        total[live, other] = total.get((live, other), 0) + count
    return [(live, other, count) for (live, other), count in total.items()]


def matrix(counts: dict[tuple[str, str], int]) -> Matrix:
    befores = [action for action in ACTIONS if any(pair[0] == action for pair in counts)]
    afters = tuple(action for action in ACTIONS if any(pair[1] == action for pair in counts))
    rows = tuple(
        (before, tuple(Cell(after, counts.get((before, after), 0), _sort(before, after)) for after in afters))
        for before in befores
    )
    by_sort = dict.fromkeys(("same", "stricter", "milder"), 0)
    for (before, after), count in counts.items():
        by_sort[_sort(before, after)] += count
    return Matrix(afters, rows, by_sort["same"], by_sort["stricter"], by_sort["milder"])


def _sort(before: str, after: str) -> str:
    if before == after:
        return "same"
    return "stricter" if STRENGTH[after] > STRENGTH[before] else "milder"
