"""Whether every call has exactly the scores it should have, asked of a running product's database."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import psycopg

from kit.product import ROOT
from stanchion_server.quality.sampling import is_sampled

PLUGIN = ROOT / "tests" / "kit" / "scorer_plugin" / "src"
RATIOS = {"test_every": 1.0, "test_some": 0.3, "test_heavy": 0.5, "toxicity_response": 1.0}
"""The plugin's scorers, and one of the built-in ones, which answers wherever there is an answer."""

Connection = psycopg.Connection[tuple[Any, ...]]
Call = tuple[int, UUID, int]


def faults(connection: Connection) -> list[str]:
    """What is missing, doubled, or not accounted for; empty when all is well. A call that load left out must be in the
    counts."""
    calls: list[Call] = connection.execute(
        "SELECT project_id, trace_id, span_id FROM llm_calls WHERE kind = 1 AND charge = 0"
    ).fetchall()  # type: ignore[assignment]
    found = [] if calls else ["there are no calls"]
    for scorer, ratio in RATIOS.items():
        wanted = {call for call in calls if is_sampled(call[0], call[1], scorer, ratio)}
        found += _of_scorer(connection, scorer, wanted)
    quarantined = connection.execute("SELECT DISTINCT last_error FROM score_jobs").fetchall()
    return found + [f"a job is left: {row[0]}" for row in quarantined]


def _of_scorer(connection: Connection, scorer: str, wanted: set[Call]) -> list[str]:
    rows: list[Call] = connection.execute(
        "SELECT project_id, trace_id, span_id FROM scores WHERE scorer = %s", (scorer,)
    ).fetchall()  # type: ignore[assignment]
    shed = connection.execute(
        "SELECT coalesce(sum(calls), 0) FROM score_counts WHERE scorer = %s AND outcome = 'shed'", (scorer,)
    ).fetchall()[0][0]
    found = []
    if len(rows) != len(set(rows)):
        found.append(f"{scorer}: {len(rows) - len(set(rows))} calls have two scores")
    always = {call for call in set(rows) - wanted if not _is_kept(connection, call)}
    if always:
        found.append(f"{scorer}: {len(always)} calls were scored without being drawn")
    missing = len(wanted - set(rows)) - int(shed)
    if missing:
        found.append(f"{scorer}: {missing} of {len(wanted)} scores are missing")
    return found


def _is_kept(connection: Connection, call: Call) -> bool:
    """Failed calls are scored whatever the share."""
    row = connection.execute(
        "SELECT status = 2 OR error_type <> '' FROM llm_calls WHERE (project_id, trace_id, span_id) = (%s, %s, %s)",
        call,
    ).fetchone()
    return row == (True,)
