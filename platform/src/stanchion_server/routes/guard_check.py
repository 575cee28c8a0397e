"""A guard check over REST: judge, answer, and record afterwards.

engine.check -> a spent budget's stop -> verdict to the caller -> shadower, recorder. The caller waits for neither.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from stanchion_guard.records import Subject
from stanchion_server.costs import stops
from stanchion_server.kernel import clock
from stanchion_server.policies import engine, halting
from stanchion_server.policies.decisions import Origin, record
from stanchion_server.policies.recording import Waiting, recorder
from stanchion_server.policies.shadowing import Waiting as Beside
from stanchion_server.policies.shadowing import shadower


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. `api_key_id` is 0 for a person who is signed in; `client` is bounded text."""

    project_id: int
    api_key_id: int
    client: str


def check(caller: Caller, policy: str, subject: Subject, origin: Origin, manner: engine.Manner) -> engine.Checked:
    """Every version that judged is recorded, shadows too. Raises SenderError for a policy that is not there; a database
    that is away only matters for a policy not yet known to this process: then Unavailable."""
    start_ns = clock.now_ns()
    key = origin.session_id or origin.check_id
    checked = engine.check(caller.project_id, policy, subject, key=key, manner=manner)
    checked = stopped(caller, checked, subject, origin, manner)
    keep(caller, checked, subject, origin, start_ns)
    return checked


def keep(caller: Caller, checked: engine.Checked, subject: Subject, origin: Origin, start_ns: int) -> None:
    """Records what every version said, and lets shadows judge."""
    recorder.add(
        [
            Waiting(
                caller.project_id,
                caller.api_key_id,
                caller.client,
                record(one, subject, origin, new_span_id(), start_ns),
            )
            for one in checked.judged
        ]
    )
    shadower.add(
        [Beside(one, caller.api_key_id, caller.client, origin, new_span_id(), start_ns) for one in checked.shadows]
    )


def stopped(
    caller: Caller, checked: engine.Checked, subject: Subject, origin: Origin, manner: engine.Manner
) -> engine.Checked:
    """Blocked where a budget of the check's feature, environment or project says so and a model is still to be asked.
    The stop is then one more of `judged`."""
    if not halting.precedes_a_call(subject, manner.judged):
        return checked
    stop = stops.stop_of(caller.project_id, origin.feature, origin.environment, clock.now())
    return checked if stop is None else halting.halted(checked, subject, stop.budget, stop.reason)


def new_span_id() -> int:
    return secrets.randbits(63) or 1
