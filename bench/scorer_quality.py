"""How well scorers tell good from bad on labelled rows: groundedness, relevance, and a probe for bias.

`--data` is a folder of JSON lines: groundedness/*.jsonl and relevance/*.jsonl with `prompt`, `context`, `response` and
`label` (1 = not grounded, not about the question), bias/crows_pairs.jsonl with pairs of sentences under one `group`.
Prints Markdown. Rows are taken evenly over a file when there are more than `--rows`.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kit.scoring import call
from stanchion_guard.metrics import average_precision, recall_at, roc_auc
from stanchion_server.quality.intervals import wilson
from stanchion_server.quality.records import Example
from stanchion_server.quality.scorers import Scorer, registry

Row = dict[str, Any]
GROUNDED = ("groundedness", "semantic_groundedness")
RELEVANT = {"context": ("context_relevance",), "response": ("answer_relevance", "semantic_relevance")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=10_000, help="of a file, at most")
    options = parser.parse_args()
    built = {one.id: one for one in registry.scorers({})}
    print("| Set | Scorer | Rows judged | Bad | ROC-AUC | PR-AUC | Recall at 5 % FPR |\n|---|---|---|---|---|---|---|")
    for file in sorted((options.data / "groundedness").glob("*.jsonl")):
        for name in GROUNDED:
            print(line(file, built.get(name), rows_of(file, options.rows)))
    for file in sorted((options.data / "relevance").glob("*.jsonl")):
        rows = rows_of(file, options.rows)
        for name in RELEVANT["response" if rows[0].get("response") else "context"]:
            print(line(file, built.get(name), rows))
    probe(options.data / "bias" / "crows_pairs.jsonl", built, options.rows)


def rows_of(file: Path, most: int) -> list[Row]:
    rows = [json.loads(text) for text in file.read_text("utf-8").splitlines() if text.strip()]
    return rows[:: max(1, -(-len(rows) // most))]


def example(row: Row) -> Example:
    contexts = (row["context"],) if row.get("context") else ()
    return call(row.get("prompt") or "", row.get("response") or row.get("text") or "", contexts=contexts)


def line(file: Path, scorer: Scorer | None, rows: Sequence[Row]) -> str:
    if scorer is None:
        return f"| {file.stem} | not available here | | | | | |"
    judged = [(row["label"] == 1, one) for row, one in zip(rows, scored(scorer, rows), strict=True) if one is not None]
    labels = np.array([label for label, _ in judged])
    bad = 1.0 - np.array([one for _, one in judged])
    figures = (roc_auc(labels, bad), average_precision(labels, bad), recall_at(labels, bad, 0.05))
    told = " | ".join("-" if one is None else f"{one:.3f}" for one in figures)
    return f"| {file.stem} | {scorer.id} | {len(judged)} of {len(rows)} | {labels.mean():.0%} | {told} |"


def scored(scorer: Scorer, rows: Sequence[Row]) -> list[float | None]:
    found: list[float | None] = []
    for first in range(0, len(rows), 64):
        results = scorer.score([example(row) for row in rows[first : first + 64]])
        found += [one.score if one else None for one in results]
    return found


def probe(file: Path, built: dict[str, Scorer], most: int) -> None:
    """Pairs that differ in the group alone: a scorer that is fair about the group scores both alike."""
    pairs: dict[str, dict[int, Row]] = defaultdict(dict)
    for row in rows_of(file, 10**9):
        pairs[row["group"]][row["label"]] = row
    whole = [pair for pair in pairs.values() if len(pair) == 2][: most // 2]
    print("\n| Scorer | Kind | Pairs told apart | The stereotyping one is worse | 95 % | Mean gap | Gap over 0.2 |")
    print("|---|---|---|---|---|---|---|")
    for name in ("bias_response", "toxicity_response", "sentiment_response"):
        kinds = ["all", *sorted({pair[1]["category"].partition(":")[0] for pair in whole})]
        for kind in kinds if name == "bias_response" else ["all"]:
            chosen = [pair for pair in whole if kind in ("all", pair[1]["category"].partition(":")[0])]
            print(of_pairs(built[name], kind, chosen))


def of_pairs(scorer: Scorer, kind: str, pairs: Sequence[dict[int, Row]]) -> str:
    good = scorer.direction == "high_is_good"
    worse, gaps = [], []
    for more, less in zip(*(scored(scorer, [pair[label] for pair in pairs]) for label in (1, 0)), strict=True):
        if more is None or less is None:
            continue
        gaps.append(abs(more - less))
        if gaps[-1] > 0.01:
            worse.append((more < less) if good else (more > less))
    return f"| {scorer.id} | {kind} | {len(worse)} of {len(gaps)} | {shares(worse)} | {mean(gaps):.3f} | {over(gaps)} |"


def shares(worse: Sequence[bool]) -> str:
    if not worse:
        return "- | -"
    interval = wilson(sum(worse), len(worse))
    return f"{sum(worse) / len(worse):.2f} | {interval.low:.2f} to {interval.high:.2f}"


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def over(gaps: Iterable[float]) -> int:
    return sum(gap > 0.2 for gap in gaps)


if __name__ == "__main__":
    main()
