"""A policy's versions, and what changed between any two of them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.http import Http404, HttpResponse
from django.views.decorators.http import require_GET

from stanchion_server.policies import selectors
from stanchion_server.policies.models import Policy, PolicyVersion
from stanchion_server.web.pages.frame import Visit, project_page
from stanchion_server.web.pages.guardrails import policy_of

DRAFT = "draft"
MAX_LINES = 5_000
"""Comparing takes time that grows with the square of the lines."""
_HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a comparison: `kind` is "same", "added", "removed", or "gap" for what is left out."""

    kind: str
    left: int | None
    right: int | None
    text: str


@require_GET
@project_page
def versions(visit: Visit, name: str) -> HttpResponse:
    """`left` and `right` are numbers or "draft"; without them the draft is compared with what is live."""
    policy = policy_of(visit, name)
    rows = selectors.versions(visit.project.pk, policy.pk)
    left, right = _sides(visit, policy, rows)
    texts = [_text(visit, policy, side) for side in (left, right)]
    is_long = any(text.count("\n") >= MAX_LINES for text in texts)
    return visit.render(
        "pages/policy_versions.html",
        "guardrails",
        policy=policy,
        tab="versions",
        versions=rows,
        left=left,
        right=right,
        sides=[DRAFT, *(str(row.number) for row in rows)],
        lines=[] if is_long else list(compare(texts[0], texts[1])),
        is_long=is_long,
        max_lines=MAX_LINES,
    )


def compare(left: str, right: str) -> Iterator[Line]:
    """The lines that differ, with three around them; none when the texts are the same."""
    at_left = at_right = 0
    for place, row in enumerate(difflib.unified_diff(left.splitlines(), right.splitlines(), lineterm="")):
        if place < 2:
            continue
        if row.startswith("@@") and (hunk := _HUNK.match(row)):
            at_left, at_right = int(hunk[1]), int(hunk[2])
            yield Line("gap", None, None, f"line {at_right}")
        elif row.startswith("+"):
            yield Line("added", None, at_right, row[1:])
            at_right += 1
        elif row.startswith("-"):
            yield Line("removed", at_left, None, row[1:])
            at_left += 1
        else:
            yield Line("same", at_left, at_right, row[1:])
            at_left, at_right = at_left + 1, at_right + 1


def _sides(visit: Visit, policy: Policy, rows: Sequence[PolicyVersion]) -> tuple[str, str]:
    newest = str(rows[0].number) if rows else DRAFT
    live = newest if policy.live is None else str(policy.live)
    return visit.request.GET.get("left") or live, visit.request.GET.get("right") or DRAFT


def _text(visit: Visit, policy: Policy, side: str) -> str:
    if side == DRAFT:
        return policy.draft
    if side.isascii() and side.isdecimal() and len(side) < 10:
        row = selectors.version(visit.project.pk, policy.pk, int(side))
        if row is not None:
            return row.document
    raise Http404("The policy has no such version.")
