"""How much scores change when only the people named change: CrowS-Pairs, our own twins, false alarms on HateCheck.

`--data` is a folder with bias/crows_pairs.jsonl (two rows of one `group` are twins) and toxicity/hatecheck.jsonl
(`label`, `target`); `--twins` is the folder that guardrails/train/bias_twins.py writes. No text is printed. `--page`
writes the figures into a Markdown page below its mark; without it they are printed.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from kit.scoring import call
from stanchion_guard import detectors, twins
from stanchion_guard.classifiers.linear import WEIGHTS
from stanchion_guard.evaluate import judge
from stanchion_guard.labelled import Row, read_rows
from stanchion_server.quality.intervals import wilson
from stanchion_server.quality.scorers import Scorer, registry

MARK = "<!-- figures: written by bench/bias.py -->"
OF_DETECTOR = {
    "toxicity": ("crows_pairs", "harmless", "hostile"),
    "harmful_intent": ("crows_pairs", "requests", "harmful"),
}
OF_SCORER = {
    "bias_response": ("crows_pairs", "harmless", "hostile"),
    "sentiment_response": ("crows_pairs", "harmless", "hostile"),
}
TOLD = 0.05
"""How far from the mean of its twins a group must lie to be named."""
Sets = Mapping[str, Sequence[Row]]
HEAD = "| Pairs | Mean gap | Gap over 0.1 | Flag flips | Largest gap |\n"


@dataclass(frozen=True, slots=True)
class Judged:
    """What a detector or scorer said of a set. `one_sided`: groups of twins of which it judged some and not others."""

    name: str
    data: str
    report: twins.Report
    one_sided: int = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--twins", type=Path, required=True)
    parser.add_argument("--page", type=Path)
    options = parser.parse_args()
    files = [options.data / "bias" / "crows_pairs.jsonl", *sorted(options.twins.glob("*.jsonl"))]
    sets = {path.stem: list(read_rows(path)) for path in files}
    text = "\n".join([*of_detectors(sets), *of_scorers(sets), *alarms(options.data / "toxicity" / "hatecheck.jsonl")])
    if options.page is None:
        sys.stdout.write(text + "\n")
        return
    before = options.page.read_text("utf-8").partition(MARK)[0]
    options.page.write_text(f"{before}{MARK}\n\n{text}\n", encoding="utf-8")


def of_detectors(sets: Sets) -> Iterator[str]:
    yield f"Weights of the classifiers: sha256 `{sha256(WEIGHTS.read_bytes()).hexdigest()[:16]}`.\n"
    found = [by_detector(name, data, sets[data]) for name, chosen in OF_DETECTOR.items() for data in chosen]
    yield "### Detectors, set by set\n\n| Detector | Twins " + HEAD + "|---|---|---:|---:|---:|---:|---:|"
    yield from (f"| `{one.name}` | {one.data} {gaps(one.report.gaps)}" for one in found)
    yield "\n### By kind of bias\n\n| Detector | Twins | Kind " + HEAD + "|---|---|---|---:|---:|---:|---:|---:|"
    for one in found:
        yield from (f"| `{one.name}` | {one.data} | {kind} {gaps(each)}" for kind, each in one.report.kinds.items())
    yield f"\n### Groups whose mean score is {TOLD:g} or more from their twins'\n"
    yield "| Detector | Twins | Group | Texts | Mean | From its twins | Flagged | Its twins flagged |"
    yield "|---|---|---|---:|---:|---:|---:|---:|"
    for one in found:
        yield from named(one)


def by_detector(name: str, data: str, rows: Sequence[Row]) -> Judged:
    detector = detectors.build(name, {})
    scored = [twins.of_row(row, judge(detector, row)[0] or 0.0) for row in rows]
    return Judged(name, data, twins.report([one for one in scored if one], detector.threshold))


def gaps(found: twins.Gaps | None) -> str:
    if found is None:
        return "| 0 | - | - | - | - |"
    return f"| {found.pairs} | {found.mean:.3f} | {found.wide:.1%} | {found.flipped:.1%} | {found.largest:.2f} |"


def named(one: Judged) -> Iterator[str]:
    far = {name: each for name, each in one.report.named.items() if abs(each.above) >= TOLD}
    alike: dict[twins.Named, list[str]] = defaultdict(list)
    for name, each in far.items():
        alike[each].append(name)
    for each, names in alike.items():
        yield (
            f"| `{one.name}` | {one.data} | {', '.join(names)} | {each.texts} | {each.mean:.2f} | {each.above:+.2f} "
            f"| {each.flagged:.0%} | {each.twins_flagged:.0%} |"
        )
    if len(far) < len(one.report.named):
        yield f"| `{one.name}` | {one.data} | {len(one.report.named) - len(far)} others | | | within {TOLD:g} | | |"


def of_scorers(sets: Sets) -> Iterator[str]:
    built = {one.id: one for one in registry.scorers({})}
    found = [by_scorer(built[name], data, sets[data]) for name, chosen in OF_SCORER.items() for data in chosen]
    yield "\n### Scorers of answers\n"
    yield "| Scorer | Twins | Judged on one side only, sets " + HEAD + "|---|---|---:|---:|---:|---:|---:|---:|"
    yield from (f"| `{one.name}` | {one.data} | {one.one_sided} {gaps(one.report.gaps)}" for one in found)
    yield "\n| Scorer | Twins | Texts with a group to swap | Mean gap | Gap over 0.1 | Flagged |"
    yield "|---|---|---:|---:|---:|---:|"
    for data in ("crows_pairs", "harmless", "hostile"):
        yield swapped(built["bias_twins"], data, sets[data])


def scored(scorer: Scorer, rows: Sequence[Row]) -> list[float | None]:
    results = scorer.score([call("", row.subject.parts[row.judged[0]].text) for row in rows])
    return [one.score if one else None for one in results]


def by_scorer(scorer: Scorer, data: str, rows: Sequence[Row]) -> Judged:
    """Flags of a scorer whose low scores are bad flip at the same place as those of its mirror image do."""
    found = scored(scorer, rows)
    judged = [twins.of_row(row, score) for row, score in zip(rows, found, strict=True) if score is not None]
    of_set = Counter(row.group for row in rows)
    seen = Counter(row.group for row, score in zip(rows, found, strict=True) if score is not None)
    one_sided = sum(0 < seen[group] < total for group, total in of_set.items())
    assert scorer.threshold is not None
    return Judged(scorer.id, data, twins.report([one for one in judged if one], scorer.threshold), one_sided)


def swapped(scorer: Scorer, data: str, rows: Sequence[Row]) -> str:
    found = [one for one in scored(scorer, rows) if one is not None]
    assert scorer.threshold is not None
    if not found:
        return f"| `{scorer.id}` | {data} | 0 of {len(rows)} | - | - | - |"
    wide, flagged = (
        sum(keep) / len(found)
        for keep in ([one > twins.GAP for one in found], [one >= scorer.threshold for one in found])
    )
    mean = sum(found) / len(found)
    return f"| `{scorer.id}` | {data} | {len(found)} of {len(rows)} | {mean:.3f} | {wide:.1%} | {flagged:.1%} |"


def alarms(file: Path) -> Iterator[str]:
    """The share of texts that are not hateful and flagged all the same, by the group they name."""
    detector = detectors.build("toxicity", {})
    texts: Counter[str] = Counter()
    flagged: Counter[str] = Counter()
    for row in read_rows(file):
        if row.label == 0:
            group = row.slices.get("target", "nobody")
            texts[group] += 1
            flagged[group] += (judge(detector, row)[0] or 0.0) >= detector.threshold
    yield "\n### False alarms of `toxicity` on HateCheck (trained on it)\n"
    yield "| Group named | Texts that are not hateful | Flagged | 95 % |\n|---|---:|---:|---|"
    for group, total in sorted(texts.items()):
        sure = wilson(flagged[group], total)
        yield f"| {group} | {total} | {flagged[group] / total:.1%} | {sure.low:.1%} to {sure.high:.1%} |"


if __name__ == "__main__":
    main()
