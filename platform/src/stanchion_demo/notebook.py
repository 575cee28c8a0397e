"""What a demo must remember between two starts: its anchor and seed, and whether the history has been told."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from stanchion_demo.storyline import Story


@dataclass(frozen=True, slots=True)
class Notes:
    """`anchor` is an ISO time in UTC. A history that broke off is told again with the same ids: the server
    keeps it once."""

    anchor: str
    seed: int
    scale: float
    is_history_told: bool = False

    @property
    def story(self) -> Story:
        return Story(datetime.fromisoformat(self.anchor), self.seed, self.scale)


def open_or_begin(path: Path, now: datetime, seed: int, scale: float) -> Notes:
    """The notes of the first start; this one's seed and scale count only if it is the first."""
    if path.exists():
        return Notes(**json.loads(path.read_text()))
    notes = Notes(now.astimezone(UTC).replace(second=0, microsecond=0).isoformat(), seed, scale)
    _write(path, notes)
    return notes


def history_told(path: Path, notes: Notes) -> None:
    _write(path, replace(notes, is_history_told=True))


def _write(path: Path, notes: Notes) -> None:
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    partial.write_text(json.dumps(asdict(notes), indent=2) + "\n")
    partial.replace(path)
