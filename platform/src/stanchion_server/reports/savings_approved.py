"""Answers that people approved, set against the questions that came later."""

from __future__ import annotations

from collections.abc import Sequence

from stanchion_server.costs.advice import approved
from stanchion_server.costs.advice.records import Finding
from stanchion_server.feedback import selectors as feedback
from stanchion_server.reports.savings_caches import Asked
from stanchion_server.traces.selectors import reading


def find(project_id: int, rows: Sequence[reading.Row], asked: Asked | None) -> list[Finding]:
    """`rows` begin with trace, span, start and parent, one for each call that was looked at, in order of time. Told is
    of the newest approved answers, as many as are kept."""
    if asked is None:
        return []
    given = feedback.approvals(project_id, [(row[0], row[1], row[3]) for row in rows])
    good = [
        approved.Approved(place, one.since.timestamp(), one.is_corrected)
        for place, row in enumerate(asked.places)
        if (one := given.get((rows[row][0], rows[row][1]))) is not None and not asked.calls[place].is_failed
    ]
    good = sorted(good, key=lambda one: -one.at_s)[: approved.MOST_ANSWERS]
    if not good:
        return []
    matches = approved.match(asked.traffic, asked.rows, good)
    return approved.find(asked.calls, [question.characters for question in asked.questions], good, matches)
