"""One detector as if it were a policy, for callers who ask for a detector by its name."""

from __future__ import annotations

from stanchion_guard.detectors import NAMES, detector_class
from stanchion_guard.engine import Guard
from stanchion_guard.records import STAGES
from stanchion_server.kernel.errors import SenderError
from stanchion_server.policies import engine

_NO_PROJECT = 0


def policy_name(detector: str) -> str:
    """Under which its decisions are recorded; no policy can have such a name."""
    return f"detector:{detector}"


def is_detector(name: str) -> bool:
    """Whether a light detector is called so."""
    return name in NAMES and detector_class(name).tier == "light"


def guard_of(detector: str) -> Guard:
    """The detector at every stage, with its own threshold. Raises SenderError 422 when it cannot do without
    parameters."""
    text = (
        f"policy: {detector}\nversion: 1\ndefaults: {{when_late: flag, when_failed: flag}}\nrules:\n"
        f"  - {{id: {detector}, stages: [{', '.join(STAGES)}], detector: {detector}, action: flag}}\n"
    )
    try:
        return engine.guard_of_text(_NO_PROJECT, text)
    except SenderError as error:
        raise SenderError(
            "detector_needs_parameters",
            f"The detector “{detector}” needs parameters: make a policy with a rule for it, and ask for that policy.",
            422,
        ) from error
