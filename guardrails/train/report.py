r"""Writes the figures of heldout.py and train.py into the page, between its two marks.

python guardrails/train/report.py --heldout heldout.json --card card.json --page docs/detectors.md
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- figures: written by guardrails/train/report.py -->", "<!-- end of figures -->"
Told = Mapping[str, Any]


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _attacks(told: Told) -> Iterator[str]:
    yield "### An attack family, a labelled set or a kind of hiding place left out of training\n"
    yield "| left out | rows | ROC-AUC | R@1 % | R@5 % | R@1 %, words alone | threshold kept |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    for part in ("attack", "toxic", "harm", "indirect"):
        for name, figures in told.get(part, {}).items():
            recalls = (
                figures.get("recall_at_1"),
                figures["recall_at_5"],
                figures.get("by_words", {}).get("recall_at_1"),
                figures.get("unmoved_at_1"),
            )
            ratios = " | ".join(_ratio(value) for value in recalls)
            yield f"| {part}: {name} | {figures['rows']} | {figures['roc_auc']:.3f} | {ratios} |"
    yield ""
    for name, figures in told.get("attack", {}).items():
        if "recall_at_1_by_kind" in figures:
            kinds = ", ".join(f"{kind} {share:.2f} ({rows})" for kind, (rows, share) in _kinds(figures))
            yield f"- {name}, recall at 1 % by kind: {kinds}"
    yield ""


def _kinds(figures: Told) -> list[tuple[str, tuple[int, float]]]:
    return list(figures["recall_at_1_by_kind"].items())


def _harmless(told: Told) -> Iterator[str]:
    yield "### Harmless texts\n"
    yield "| harmless source left out | rows | threshold kept | words alone | at a new 1 % threshold | at 5 % |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    for name, figures in told.get("harmless", {}).items():
        shares = " | ".join(_percent(figures[key]) for key in _SHARES)
        yield f"| {name} | {figures['rows']} | {shares} | {_percent(figures['flagged_at_5'])} |"
        if len(figures["by_source_at_1"]) > 1:
            for source, (rows, share) in figures["by_source_at_1"].items():
                yield f"| - {source} | {rows} | | | {_percent(share)} | |"
    if "documents_retrieved" in told:
        yield from _documents(told)
    yield from _unseen(told.get("unseen", {}))
    yield "\n| harmless texts that no model saw, disguised | rows | flagged at the 1 % threshold |"
    yield "| --- | ---: | ---: |"
    for name, figures in told.get("disguised", {}).items():
        yield f"| {name} | {figures['rows']} | {_percent(figures['flagged_at_1'])} |"
    yield ""


_SHARES = ("unmoved_at_1", "by_words_at_1", "flagged_at_1")


def _documents(told: Told) -> Iterator[str]:
    """By the product's own calibration, at the stages where documents can be judged."""
    stages = told.get("documents_retrieved", {}), told.get("documents_input", {})
    yield "\n| harmless documents left out, at 0.5 as shipped | rows | at the stage retrieved | at the stage input |"
    yield "| --- | ---: | ---: | ---: |"
    for name in stages[0]:
        shares = " | ".join(_percent(stage[name]["flagged"]) if name in stage else "-" for stage in stages)
        yield f"| {name} | {stages[0][name]['rows']} | {shares} |"


def _unseen(told: Told) -> Iterator[str]:
    """Left-out sources outside the standard ones, and how much of it is length."""
    if not told:
        return
    columns = "threshold kept | words alone | at a new 1 % threshold | kept, less the length's share"
    yield f"\n| other harmless source left out | rows | {columns} |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    by_length: dict[str, list[tuple[int, float]]] = {}
    for name, figures in told.items():
        shares = " | ".join(_percent(figures[key]) for key in (*_SHARES, "less_length_at_1"))
        yield f"| {name} | {figures['rows']} | {shares} |"
        for key, found in figures.items():
            if key.endswith("segments"):
                by_length.setdefault(key.split("_")[-2], []).append(found)
    shares = [
        f"from {least} on {_percent(sum(rows * share for rows, share in found) / sum(rows for rows, _ in found))}"
        for least, found in by_length.items()
    ]
    yield f"\nOf all these texts by their sentences, flagged at the 1 % threshold: {', '.join(shares)}."


def _hatecheck(told: Told) -> Iterator[str]:
    figures = told.get("toxic", {}).get("hatecheck")
    if not figures:
        return
    yield "### HateCheck, left out of training, by group named\n"
    for name in ("threshold of the others", "threshold of best accuracy"):
        found = figures[name]
        groups = ", ".join(
            f"{group or 'none'} {100 * share:.0f} % ({rows})"
            for group, (rows, share) in found["false_positives_by_group"].items()
        )
        yield (
            f"- At the {name}: accuracy {found['accuracy']:.3f}, recall {found['recall']:.2f}, false positives "
            f"{_percent(found['false_positives'])}; by group: {groups}. Gap between the groups: "
            f"{100 * found['gap']:.0f} points."
        )
    yield ""


def _held_third(card: Told) -> Iterator[str]:
    yield "### A third of the groups held back (their sources seen)\n"
    yield "| target | ROC-AUC | PR-AUC |\n| --- | ---: | ---: |"
    for name, target in card["targets"].items():
        figures = target["held_third"]
        yield f"| {name} | {figures['roc_auc']:.3f} | {figures['average_precision']:.3f} |"
    yield "\nShare at or above the threshold 0.5 by source; harmless sources of 30 texts or more that reach 1 %:\n"
    for name, target in card["targets"].items():
        flagged = target["held_third"]["flagged_at_0.5"]
        loud = [
            f"{key.removesuffix(' label 0')} {_percent(share)}"
            for key, (rows, share) in flagged.items()
            if key.endswith("0") and rows >= 30 and share >= 0.01
        ]
        found = [
            f"{key.removesuffix(' label 1')} {100 * share:.0f} %"
            for key, (rows, share) in flagged.items()
            if key.endswith("1") and rows >= 5
        ]
        yield f"- **{name}**, harmless: {', '.join(loud) or 'none'}. Positive: {', '.join(found)}."
    yield ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--heldout", type=Path, required=True)
    parser.add_argument("--card", type=Path, required=True)
    parser.add_argument("--page", type=Path, required=True)
    options = parser.parse_args()
    told = json.loads(options.heldout.read_text(encoding="utf-8"))
    card = json.loads(options.card.read_text(encoding="utf-8"))
    lines = [*_attacks(told), *_harmless(told), *_hatecheck(told), *_held_third(card)]
    page = options.page.read_text(encoding="utf-8")
    before, after = page.partition(BEGIN)[0], page.partition(END)[2]
    options.page.write_text("\n".join([before + BEGIN, "", *lines, END]) + after, encoding="utf-8")


if __name__ == "__main__":
    main()
