"""Parts, subjects and verdicts: the engine's own where it is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stanchion_guard.records import STAGES, Check, Coverage, Finding, Part, Stage, Subject, Usage, Verdict
else:
    try:
        from stanchion_guard.records import STAGES, Check, Coverage, Finding, Part, Stage, Subject, Usage, Verdict
    except ImportError:
        from .slim import STAGES, Check, Coverage, Finding, Part, Subject, Usage, Verdict

        Stage = str

__all__ = ["STAGES", "Check", "Coverage", "Finding", "Part", "Stage", "Subject", "Usage", "Verdict"]
