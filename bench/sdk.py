"""What LLM observability SDKs cost an application, and what they lose: ours beside its peers, in one run.

    script/bench sdk                              costs, ways out, a stalled server, a short outage
    script/bench sdk --only costs --rounds 9      one part of it: costs, walls, exits, stalled, outage
    script/bench sdk --only outage --outage-s 600

The client is openai's, with its provider in process (for `walls`: on loopback). Each SDK starts as its own
documentation says, with contents captured, and runs in an environment under `.venvs`, which the contract tests make
from `requirements/clients/*.lock`. A peer that cannot be run is named, and the others go on.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from sdk_parts import scenarios

Row = dict[str, Any]
PARTS = ("costs", "walls", "exits", "stalled", "outage")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(PARTS), help="parts, with commas")
    parser.add_argument("--variants", default=",".join(one.name for one in scenarios.VARIANTS))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--calls", type=int, default=200, help="measured calls a round and mode")
    parser.add_argument("--outage-s", type=float, default=30.0)
    parser.add_argument("--json", type=Path, help="write every row to this file as well")
    args = parser.parse_args()
    report: Row = {"date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M"), "machine": scenarios.machine()}
    chosen, report["versions"] = _runnable(args.variants.split(","))
    show("versions", [{"variant": name, "runs": "NO: its environment is missing" if found is None else found}
                      for name, found in report["versions"].items()])  # fmt: skip
    bench = scenarios.Bench(chosen, args.rounds, args.calls)
    try:
        for part in args.only.split(","):
            report[part] = _part(part, bench, args.outage_s)()
            show(part, report[part])
            if args.json is not None:
                args.json.write_text(json.dumps(report, indent=1) + "\n")
    finally:
        bench.close()
    return 0


def _runnable(names: list[str]) -> tuple[list[scenarios.Variant], Row]:
    wanted = [one for one in scenarios.VARIANTS if one.name in names]
    found = {one.name: scenarios.versions(one) for one in wanted}
    return [one for one in wanted if found[one.name] is not None], found


def _part(name: str, bench: scenarios.Bench, outage_s: float) -> Callable[[], list[Row]]:
    parts: dict[str, Callable[[], list[Row]]] = {
        "costs": lambda: scenarios.costs(bench),
        "walls": lambda: scenarios.walls(bench),
        "exits": lambda: scenarios.exits(bench),
        "stalled": lambda: scenarios.stalled(bench),
        "outage": lambda: scenarios.outages(bench, outage_s),
    }
    return parts[name]


def show(title: str, rows: list[Row]) -> None:
    """A table of the columns that any row has; three numbers are a median, the least and the greatest."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    table = [columns, *([_cell(row.get(column)) for column in columns] for row in rows)]
    widths = [max(len(line[place]) for line in table) for place in range(len(columns))]
    print(f"\n{title}")
    for line in table:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    sys.stdout.flush()


def _cell(value: Any) -> str:
    if isinstance(value, list) and len(value) == 3:
        return f"{value[0]} ({value[1]}…{value[2]})"
    if isinstance(value, dict):
        return " ".join(f"{name} {version}" for name, version in value.items())
    return "" if value is None else str(value)


if __name__ == "__main__":
    raise SystemExit(main())
