"""A program, not a module: rows on standard input, a page in the file that is its first argument.

It runs alone with `python -I`, so that Evidently's memory, threads and imports end with it; the second argument is the
most memory in bytes. It imports nothing of ours.
"""

from __future__ import annotations

import json
import resource
import sys
from typing import Any


def main(target: str, memory_limit_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (memory_limit_bytes, memory_limit_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    rows = json.loads(sys.stdin.buffer.read())
    report(rows).save_html(target)


def report(rows: dict[str, Any]) -> Any:
    import pandas as pd
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    numbers, categories = _telling(rows, "numbers"), _telling(rows, "categories")
    definition = DataDefinition(numerical_columns=numbers, categorical_columns=categories)
    sides = []
    for window in ("current", "reference"):
        frame = pd.DataFrame({name: rows[window][name] for name in (*numbers, *categories)})
        sides.append(Dataset.from_pandas(frame, data_definition=definition))
    return Report([DataDriftPreset()]).run(sides[0], sides[1])


def _telling(rows: dict[str, Any], kind: str) -> list[str]:
    """Columns with a value in each window: Evidently refuses empty ones."""
    return [
        name for name in rows[kind] if all(any(v is not None for v in rows[w][name]) for w in ("reference", "current"))
    ]


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
