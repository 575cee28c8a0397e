"""Writes training rows from the templates in templates/*.yaml: every slot filled by chance, the same in every run.

python guardrails/train/templates.py --extra extra.jsonl --out own.jsonl
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


def documents(each: int, generator: random.Random) -> Iterator[dict[str, object]]:
    document = _read("documents.yaml")
    slots = slots_of(document)
    for family, templates in document["families"].items():
        for number, template in enumerate(templates):
            for _ in range(each):
                text = fill(template, slots, generator)
                yield _row("benign", f"own_{family}", text, 0, f"own:{family}{number}", "document")


def programs(each: int, generator: random.Random) -> Iterator[dict[str, object]]:
    """Requests for programs, `each` for each thing that a program can do, in every language."""
    for language, slots in _read("programs.yaml").items():
        source = "own_programs" if language == "en" else "own_programs_translated"
        for number, task in enumerate(slots["t"]):
            for _ in range(each):
                details = generator.sample(slots["s"], generator.randrange(min(4, len(slots["s"]) + 1)))
                text = fill("{w} {p} {t}.", {**slots, "t": [task]}, generator)
                text = " ".join([text, *details])
                yield _row("benign", source, text, 0, f"own:program:{language}{number}", language)
        for question in slots["q"]:
            yield _row("benign", source, question, 0, f"own:{question}", language)


def suffixes(count: int, rows: Sequence[Mapping[str, Any]], generator: random.Random) -> Iterator[dict[str, object]]:
    """A request and a tail like those that automatic searches find: words without order, glued, cut, with signs. Every
    second request is one of the collected ones, every second word comes from the collected texts."""
    document = _read("attacks.yaml")
    slots = slots_of(document)
    goals = _goals(rows)
    words = sorted({word for values in slots.values() for text in values for word in str(text).split()})
    words += generator.sample(_vocabulary(rows), len(words))
    for number in range(count):
        goal = fill(generator.choice(document["suffix"]["requests"]), slots, generator)
        goal = generator.choice(goals) if number % 2 else goal
        tail = [_piece(words, document["suffix"]["debris"], generator) for _ in range(generator.randrange(8, 26))]
        text = goal + " " + "".join(piece + generator.choice(("", " ", " ", " ")) for piece in tail)
        yield _row("prompt_attack", "own_suffix", text, 1, f"own:suffix{number % 40}", "suffix")


def _goals(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return [row["text"] for row in rows if row["source"] == "pyrit_adv_bench"]


def _vocabulary(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Words of code and of descriptions, and one in eight of other languages' words."""
    pool: set[str] = set()
    for number, row in enumerate(rows):
        if row["source"] in ("package_descriptions", "package_sources", "code_python", "prowler") or number % 8 == 0:
            pool |= set(re.findall(r"\w{2,14}", row["text"])) if row["label"] == 0 else set()
    return sorted(pool)


_PROSE = ("package_descriptions", "prowler", "declaration", "agentdojo_documents", "wagtail", "home_assistant")


def word_lists(count: int, rows: Sequence[Mapping[str, Any]], generator: random.Random) -> Iterator[dict[str, object]]:
    """Ordinary words in no order, as in lists of keywords, of vocabulary and of names: words of one text or of all."""
    texts = [re.findall(r"[^\W\d_]+", row["text"]) for row in rows if row["source"] in _PROSE]
    texts = [words for words in texts if len(words) > 30]
    pool = sorted({word for words in texts for word in words})
    english = sorted({word for words in texts for word in words if word.isascii()})
    for number in range(count):
        source = (generator.choice(texts), english, pool)[number % 3]
        words = generator.choices(source, k=generator.choice((12, 25, 60, 150)))
        text = generator.choice((" ", " ", ", ", "\n", "; ")).join(words)
        yield _row("benign", "own_word_lists", text, 0, f"own:word list {number % 40}", "words")


def _piece(words: Sequence[str], debris: Sequence[str], generator: random.Random) -> str:
    word = generator.choice(words).strip("{}")
    kind = generator.random()
    if kind < 0.3:
        return generator.choice(debris)
    if kind < 0.5:
        return word[: generator.randrange(2, 6)] + generator.choice(words).strip("{}").capitalize()
    return word.upper() if kind < 0.55 else word


_ASK = re.compile(r"{ask:(\w+)( secretly)?}")


def requests(generator: random.Random) -> Iterator[dict[str, object]]:
    """Requests and questions in pairs, for a harmless end and for harm: one text a call of a family's template."""
    document = _read("requests.yaml")
    slots = slots_of(document)
    for family, entry in document["families"].items():
        for number, template in enumerate(entry["texts"]):
            for count in range(entry["each"]):
                text = _ASK.sub(lambda match: _asked(match, slots, generator), template)
                task = "harmful_intent" if entry["label"] else "benign"
                group = f"own:{family}{number}/{count % 40}"
                yield _row(task, f"own_{family}", fill(text, slots, generator), entry["label"], group, family)


def _asked(match: re.Match[str], slots: Slots, generator: random.Random) -> str:
    """One of the ways to ask, with one of the named deeds in it."""
    deed = str(generator.choice(slots[match[1]]))
    if match[2]:
        deed = f"{deed} {generator.choice(slots['secretly'])}".strip()
    return str(generator.choice(slots["ask"])).replace("{x}", deed)


def toxic(name: str, each: int, generator: random.Random) -> Iterator[dict[str, object]]:
    document = _read(name)
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
    parser.add_argument(
        "--extra", type=Path, required=True, help="what collect.py wrote: its texts give words and goals"
    )
    arguments = parser.parse_args()
    generator = random.Random(7)
    with arguments.extra.open(encoding="utf-8") as lines:
        collected = [json.loads(line) for line in lines]
    with arguments.out.open("w", encoding="utf-8") as out:
        for rows in (
            attacks(14, generator),
            harmless(14, generator),
            toxic("toxic.yaml", 12, generator),
            documents(40, generator),
            programs(8, generator),
            suffixes(1000, collected, generator),
            word_lists(600, collected, generator),
            requests(generator),
            toxic("hate.yaml", 12, generator),
        ):
            for row in rows:
                out.write(json.dumps(row, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
