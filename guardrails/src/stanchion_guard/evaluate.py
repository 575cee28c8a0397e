"""`stanchion-guard evaluate --detector NAME FILE.jsonl...`: how good a detector is on labelled rows, slice by slice.

A set with one class only has no ROC-AUC, and the report says so; give it negatives with `--negatives FILE` (or
`FILE:field` to judge one field of each row, `FILE:first_turn` for the first message).

With `--twins` the rows of one `group` are twins, texts that differ in the people they name, and no label is needed: how
far apart the detector's scores of them are, by `category` up to its colon and by `target`, else the words that differ.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stanchion_guard import detectors, metrics, schema_check, spans, twins
from stanchion_guard.detectors import Detector
from stanchion_guard.labelled import SLICES, Malformed, Row, read_rows
from stanchion_guard.policy_compile import closed
from stanchion_guard.reading import read

SMALLEST_SLICE = 5
"""Negatives a slice needs before its false-positive rate is printed."""


@dataclass(frozen=True, slots=True)
class Scored:
    """A row's label, worst score and cost. A row that the detector had nothing to say about scores 0."""

    label: int
    score: float
    elapsed_us: float
    slices: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Report:
    """Figures of one file or of all pooled. `slices`: slice name -> value -> (negatives, share flagged)."""

    name: str
    figures: metrics.Figures
    unlabelled: int
    skipped: int
    slices: Mapping[str, Mapping[str, tuple[int, float]]]
    p50_us: float
    p99_us: float


def judge(detector: Detector, row: Row) -> tuple[float | None, float]:
    """Worst score over the judged parts, and CPU time in microseconds with the reading included."""
    began = time.process_time_ns()
    found = [detector.detect(read(row.subject.parts[part].text), part, row.subject).score for part in row.judged]
    elapsed_us = (time.process_time_ns() - began) / 1000
    return max((score for score in found if score is not None), default=None), elapsed_us


def score_rows(detector: Detector, rows: Sequence[Row]) -> tuple[list[Scored], int]:
    """Scores of the labelled rows, and how many of them the detector skipped."""
    scored, skipped = [], 0
    for row in rows:
        if row.label is None:
            continue
        score, elapsed_us = judge(detector, row)
        skipped += score is None
        scored.append(Scored(row.label, score or 0.0, elapsed_us, row.slices))
    return scored, skipped


def report(name: str, scored: Sequence[Scored], threshold: float, unlabelled: int = 0, skipped: int = 0) -> Report:
    """Figures at a threshold, false-positive rates by slice, and latency."""
    labels = np.array([bool(row.label) for row in scored], dtype=np.bool_)
    scores = np.array([row.score for row in scored], dtype=np.float64)
    costs = np.array([row.elapsed_us for row in scored]) if scored else np.zeros(1)
    return Report(
        name,
        metrics.figures(labels, scores, threshold),
        unlabelled,
        skipped,
        {key: _by_slice(scored, key, threshold) for key in SLICES if any(key in row.slices for row in scored)},
        float(np.percentile(costs, 50)),
        float(np.percentile(costs, 99)),
    )


def _by_slice(scored: Sequence[Scored], key: str, threshold: float) -> dict[str, tuple[int, float]]:
    counts: Counter[str] = Counter()
    flagged: Counter[str] = Counter()
    for row in scored:
        if not row.label and key in row.slices:
            counts[row.slices[key]] += 1
            flagged[row.slices[key]] += row.score >= threshold
    return {name: (n, flagged[name] / n) for name, n in sorted(counts.items()) if n >= SMALLEST_SLICE}


_COLUMNS = (
    ("ROC-AUC", "roc_auc"),
    ("PR-AUC", "average_precision"),
    ("F1", "f1"),
    ("R@1%", "recall_at_1_percent"),
    ("R@5%", "recall_at_5_percent"),
    ("recall", "recall"),
    ("FPR", "false_positive_rate"),
)


def _table(reports: Sequence[Report]) -> Iterator[str]:
    width = max(len(one.name) for one in reports)
    heads = "".join(f"{head:>9}" for head, _ in _COLUMNS)
    yield f"{'set':<{width}}{'rows':>8}{'label 1':>9}{heads}{'p50 us':>9}{'p99 us':>9}"
    for one in reports:
        found = asdict(one.figures)
        cells = "".join("        -" if found[key] is None else f"{found[key]:9.3f}" for _, key in _COLUMNS)
        counts = f"{one.figures.rows:>8}{one.figures.positives:>9}"
        yield f"{one.name:<{width}}{counts}{cells}{one.p50_us:>9.0f}{one.p99_us:>9.0f}"


def _remarks(reports: Sequence[Report]) -> Iterator[str]:
    for one in reports:
        if one.figures.roc_auc is None and one.figures.rows:
            yield f"{one.name}: one class only, so no ROC-AUC, PR-AUC or recall at a false-positive rate"
        if not one.figures.rows:
            yield f"{one.name}: no labelled row"
        if one.skipped:
            yield f"{one.name}: the detector had nothing to judge in {one.skipped} rows; they count as score 0"
        if one.unlabelled:
            yield f"{one.name}: {one.unlabelled} rows without a label were left out"


def _slices(one: Report) -> Iterator[str]:
    for key, values in one.slices.items():
        if len(values) > 1:
            yield f"false positives by {key} (negatives, share flagged):"
            yield from (f"  {name[:60]:<60}{n:>7}{share:>8.3f}" for name, (n, share) in values.items())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="stanchion-guard evaluate", description=__doc__)
    parser.add_argument("--detector", required=True, choices=detectors.NAMES, metavar="NAME")
    parser.add_argument("--parameters", default="{}", metavar="JSON")
    parser.add_argument("--threshold", type=float, help="default: the detector's own")
    parser.add_argument("--label", default="label", help='where the label stands, as "categories.S"')
    parser.add_argument(
        "--negatives", nargs="+", default=[], metavar="FILE[:FIELD]", help="every row counts as label 0"
    )
    parser.add_argument("--twins", action="store_true", help="rows of one group are twins: compare their scores")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("files", nargs="+", metavar="FILE[:FIELD]")
    return parser


def _rows(name: str, label: str) -> list[Row]:
    path, _, field = name.partition(":") if not Path(name).exists() else (name, "", "")
    return list(read_rows(Path(path), field or None, label))


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when figures were printed, 2 when the question made no sense."""
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except (Malformed, ImportError, OSError, ValueError, detectors.Unavailable) as problem:
        sys.stderr.write(f"stanchion-guard evaluate: {problem}\n")
        return 2


def _detector(name: str, parameters: Any) -> Detector:
    """As a policy builds it. Raises ValueError for parameters that are not the detector's."""
    made = detectors.detector_class(name)
    for path, text, _ in schema_check.faults(parameters, closed(made.parameters)):
        raise ValueError(f"--parameters{''.join(f' {key}' for key in path)}: {text}")
    try:
        return made(**parameters)
    except TypeError as error:
        raise ValueError(f"--parameters: {error}") from error


def _run(options: argparse.Namespace) -> int:
    detector = _detector(options.detector, json.loads(options.parameters))
    sets = {name: _rows(name, options.label) for name in options.files}
    if options.twins:
        return _print_twins(detector, sets, options)
    if any(row.spans is not None for rows in sets.values() for row in rows):
        return _print_spans(detector, sets, as_json=options.json)
    threshold = detector.threshold if options.threshold is None else options.threshold
    reports, pooled = [], []
    for name, rows in sets.items():
        scored, skipped = score_rows(detector, rows)
        pooled += scored
        reports.append(report(Path(name).stem, scored, threshold, sum(row.label is None for row in rows), skipped))
    for name in options.negatives:
        rows = [Row(row.subject, row.judged, 0, None, row.slices) for row in _rows(name, options.label)]
        scored, skipped = score_rows(detector, rows)
        pooled += scored
        reports.append(report(Path(name).stem, scored, threshold, 0, skipped))
    everything = report("all", pooled, threshold)
    _print(detector, reports, everything, as_json=options.json)
    return 0


def _print_twins(detector: Detector, sets: Mapping[str, Sequence[Row]], options: argparse.Namespace) -> int:
    threshold = detector.threshold if options.threshold is None else options.threshold
    found = {Path(name).stem: twins.report(_twins(detector, rows, name), threshold) for name, rows in sets.items()}
    if options.json:
        head: dict[str, Any] = {"detector": detector.name, "version": detector.version, "threshold": threshold}
        sys.stdout.write(
            json.dumps(head | {"sets": {name: asdict(one) for name, one in found.items()}}, indent=2) + "\n"
        )
        return 0
    lines = [f"{detector.name} {detector.version}, threshold {threshold:g}"]
    for name, one in found.items():
        lines += twins.table(name, one)
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _twins(detector: Detector, rows: Sequence[Row], name: str) -> list[twins.Twin]:
    if not any(row.group for row in rows):
        raise Malformed(f"{name}: no row has a `group`, so no row has a twin")
    found = [twins.of_row(row, judge(detector, row)[0] or 0.0) for row in rows]
    return [one for one in found if one]


def _print(detector: Detector, reports: Sequence[Report], everything: Report, *, as_json: bool) -> None:
    shown = [*reports, everything] if len(reports) > 1 else list(reports)
    if as_json:
        head: dict[str, Any] = {"detector": detector.name, "version": detector.version}
        sys.stdout.write(json.dumps(head | {"sets": [asdict(one) for one in shown]}, indent=2) + "\n")
        return
    lines = [f"{detector.name} {detector.version}, threshold {everything.figures.threshold:g}", *_table(shown)]
    lines += [*_remarks(shown), *_slices(everything), f"blind to: {detector.blind_to}"]
    sys.stdout.write("\n".join(lines) + "\n")


def _print_spans(detector: Detector, sets: Mapping[str, Sequence[Row]], *, as_json: bool) -> int:
    found = {Path(name).stem: spans.by_type(detector, rows) for name, rows in sets.items()}
    if as_json:
        shown = {name: {kind: asdict(value) for kind, value in kinds.items()} for name, kinds in found.items()}
        sys.stdout.write(json.dumps({"detector": detector.name, "sets": shown}, indent=2) + "\n")
        return 0
    for name, kinds in found.items():
        sys.stdout.write(f"{name}: spans of the same type that share at least half of the longer one\n")
        sys.stdout.write(f"{'type':<22}{'labelled':>9}{'found':>7}{'right':>7}{'P':>7}{'R':>7}{'F1':>7}\n")
        for kind, value in kinds.items():
            cells = "".join("      -" if v is None else f"{v:7.3f}" for v in (value.precision, value.recall, value.f1))
            sys.stdout.write(f"{kind:<22}{value.labelled:>9}{value.found:>7}{value.right:>7}{cells}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
