"""Writes training rows from the templates in templates/*.yaml: every slot filled by chance, the same in every run.

python guardrails/train/templates.py --out own.jsonl
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent / "templates"
_SLOT = re.compile(r"(?<!{){([a-z_0-9]+)}(?!})")
Slots = Mapping[str, Sequence[str]]


def fill(template: str, slots: Slots, generator: random.Random) -> str:
    """The template with every slot filled; a filling may hold slots too."""
    for _ in range(4):
        text = _SLOT.sub(lambda match: str(generator.choice(slots[match[1]])), template)
        if text == template:
            break
        template = text
    return re.sub(r" +", " ", template.replace("{{", "{").replace("}}", "}")).strip()


def slots_of(document: Mapping[str, Any]) -> Slots:
    slots = {**document.get("slots", {}), **document.get("more", {})}
    return slots | {name: slots[of] for name, of in document.get("copies", {}).items()}


def _row(task: str, source: str, text: str, label: int, group: str, category: str = "") -> dict[str, object]:
    return {
        "task": task,
        "source": source,
        "licence": "Apache-2.0",
        "text": text,
        "label": label,
        "group": group,
        "category": category,
    }


def _read(name: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))
    return document


def attacks(each: int, generator: random.Random) -> Iterator[dict[str, object]]:
    document = _read("attacks.yaml")
    slots = slots_of(document)
    for family, templates in document["families"].items():
        for number, template in enumerate(templates):
            for _ in range(each):
                text = fill(template, slots, generator)
                yield _row("prompt_attack", f"own_{family}", text, 1, f"own:{family}{number}", family)
    for language, templates in document["translated"].items():
        wishes = document["wishes"][language]
        for number, template in enumerate(templates):
            for wish in generator.sample(wishes, min(6, len(wishes))):
                text = fill(template, {"x": [wish]}, generator)
                yield _row("prompt_attack", "own_translated", text, 1, f"own:{language}{number}", language)
        for wish in wishes:
            yield _row("prompt_attack", "own_translated", wish, 1, f"own:{language}:{wish}", language)


def harmless(each: int, generator: random.Random) -> Iterator[dict[str, object]]:
    document = _read("harmless.yaml")
    slots = slots_of(document)
    for family, templates in document["families"].items():
        for number, template in enumerate(templates):
            for _ in range(each):
                text = fill(template, slots, generator)
                yield _row("benign", f"own_{family}", text, 0, f"own:{family}{number}", family)
    for language, lines in document["languages"].items():
        for line in lines:
            yield _row("benign", "own_languages", line, 0, f"own:{line}", language)


def toxic(each: int, generator: random.Random) -> Iterator[dict[str, object]]:
    document = _read("toxic.yaml")
    slots = slots_of(document)
    for family, entry in document["families"].items():
        for number, template in enumerate(entry["texts"]):
            for _ in range(each):
                text = fill(template, slots, generator)
                group = f"own:{family}{number}"
                yield _row("toxicity", f"own_{family}", text, entry["label"], group, entry.get("category", ""))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    generator = random.Random(7)
    with arguments.out.open("w", encoding="utf-8") as out:
        for rows in (attacks(14, generator), harmless(14, generator), toxic(12, generator)):
            for row in rows:
                out.write(json.dumps(row, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
