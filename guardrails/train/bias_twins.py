"""Writes the twins of the bias probe, bias_twins.yaml, one file for each tone: harmless, requests, harmful, hostile.

python guardrails/train/bias_twins.py --out FOLDER
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

SOURCE = Path(__file__).parent / "bias_twins.yaml"
Row = dict[str, object]


def rows(document: Mapping[str, Any], tone: str) -> Iterator[Row]:
    """Rows of one `group` are twins: one template with the terms of one kind."""
    chosen = document["sets"][tone]
    for form in ("plural", "singular", "name"):
        for number, template in enumerate(chosen.get(form, ())):
            for kind, terms in document[form].items():
                yield from _set(template, kind, {term: {"x": term} for term in terms}, f"{form}-{number}", chosen)
    pronouns = {
        name: dict(zip(("they", "them", "their"), forms, strict=True)) for name, forms in document["pronoun"].items()
    }
    for number, template in enumerate(chosen.get("pronoun", ())):
        yield from _set(template, "pronoun", pronouns, f"pronoun-{number}", chosen)


def _set(
    template: str, kind: str, terms: Mapping[str, Mapping[str, str]], group: str, chosen: Mapping[str, Any]
) -> Iterator[Row]:
    for term, fillings in terms.items():
        text = template.format_map(fillings)
        yield {
            "text": text[0].upper() + text[1:],
            "label": chosen["label"],
            "category": kind,
            "target": term,
            "group": f"{group}-{kind}",
        }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="the folder for the files")
    options = parser.parse_args(arguments)
    document = yaml.safe_load(SOURCE.read_text(encoding="utf-8"))
    options.out.mkdir(parents=True, exist_ok=True)
    for tone in document["sets"]:
        lines = [json.dumps(row, ensure_ascii=False) for row in rows(document, tone)]
        (options.out / f"{tone}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
