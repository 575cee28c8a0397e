"""Harmless requests to assistants, and their answers, in sixty languages, out of openly licensed packages.

    python guardrails/train/assistants.py --wheels DIR --out assistants.jsonl

DIR holds one folder for each unpacked wheel: home_assistant_intents and the ovos_skill_* below (Apache-2.0; the alerts
skill BSD-3-Clause; skills that tell of history or jokes hold texts from elsewhere and stay out). All write sentences as
patterns: (one|other), [perhaps], <rule>, {slot}. They are spelled out by chance, the same in every run. Translated
attacks are the only other texts in most of these languages that ask a model for something.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from collect import Row, row

_TOKEN = re.compile(r"[\[\]()|]|<[^<>]*>|\{[^{}]*\}|[^\[\]()|<>{}]+")
_DEEPEST = 6
"""Rules that name rules are followed so far; what lies deeper is left out."""
_EACH = 12
"""Texts of one language of home_assistant_intents; of one language and skill."""
SKILLS = (
    "alerts",
    "date_time",
    "diagnostics",
    "iss_location",
    "news",
    "number_facts",
    "personal",
    "weather",
    "wikipedia",
    "word_of_the_day",
)


@dataclass(frozen=True)
class Grammar:
    """`rules` are patterns by name, `slots` the values of a slot; an unknown slot is a number."""

    rules: Mapping[str, str]
    slots: Mapping[str, Sequence[str]]

    def sentence(self, pattern: str, generator: random.Random, depth: int = 0) -> str:
        """One sentence of the pattern, by chance."""
        text, _ = self._sequence(_TOKEN.findall(pattern), 0, generator, depth)
        return re.sub(r"\s+", " ", text).strip()

    def _sequence(self, tokens: Sequence[str], at: int, generator: random.Random, depth: int) -> tuple[str, int]:
        """The chosen alternative up to the closing bracket or the end, and where that stands."""
        found = [""]
        while at < len(tokens) and tokens[at] not in ")]":
            piece = tokens[at]
            if piece in "([":
                inner, at = self._sequence(tokens, at + 1, generator, depth)
                found[-1] += inner if piece == "(" or generator.random() < 0.5 else ""
            elif piece == "|":
                found.append("")
            else:
                found[-1] += self._named(piece, generator, depth)
            at += 1
        return generator.choice(found), at

    def _named(self, piece: str, generator: random.Random, depth: int) -> str:
        name = piece[1:-1].partition(":")[0]
        if piece[0] == "<":
            rule = self.rules.get(name, "") if depth < _DEEPEST else ""
            return self.sentence(rule, generator, depth + 1)
        if piece[0] == "{":
            values = self.slots.get(name)
            value = generator.choice(values) if values else str(generator.randrange(2, 90))
            return self.sentence(value, generator, _DEEPEST)
        return piece


def home_assistant(folder: Path, generator: random.Random) -> Iterator[Row]:
    """Commands by language, each text one to three of them."""
    for path in sorted((folder / "home_assistant_intents" / "data").glob("*.json")):
        told = json.loads(path.read_text(encoding="utf-8"))
        grammar = Grammar(told.get("expansion_rules", {}), {k: _values(v) for k, v in told.get("lists", {}).items()})
        patterns = [
            pattern for intent in told["intents"].values() for data in intent["data"] for pattern in data["sentences"]
        ]
        if patterns:
            yield from _texts("voice_home", path.stem, patterns, grammar, generator)


def _values(entry: Mapping[str, object]) -> list[str]:
    values = entry.get("values")
    if not isinstance(values, list):
        return []
    texts = (value.get("in", "") if isinstance(value, dict) else value for value in values)
    return [str(text) for text in texts if text]


def skill(folder: Path, generator: random.Random) -> Iterator[Row]:
    """Questions to one skill and what it answers, by language."""
    source = folder.name.replace("ovos_skill", "voice")
    by_language: dict[str, list[str]] = defaultdict(list)
    for path in sorted(folder.rglob("locale/*/**/*")):
        if path.suffix in (".intent", ".dialog"):
            language = path.parts[path.parts.index("locale") + 1].lower()
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            by_language[language] += [line.replace("{{", "{").replace("}}", "}") for line in lines if line[:1] != "#"]
    for language, patterns in sorted(by_language.items()):
        yield from _texts(source, language, patterns, Grammar({}, {}), generator)


def _texts(
    source: str, language: str, patterns: Sequence[str], grammar: Grammar, generator: random.Random
) -> Iterator[Row]:
    for number in range(_EACH):
        lines = [grammar.sentence(generator.choice(patterns), generator) for _ in range(generator.choice((1, 1, 2, 3)))]
        text = generator.choice((". ", "\n", " ")).join(line for line in lines if line)
        if len(text) >= 12:
            yield row("benign", source, "Apache-2.0/BSD-3-Clause", text, 0, f"{language}{number}", language)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheels", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    folders = [arguments.wheels / f"ovos_skill_{name}" for name in SKILLS]
    with arguments.out.open("w", encoding="utf-8") as out:
        for record in home_assistant(arguments.wheels / "home_assistant_intents", random.Random(7)):
            out.write(json.dumps(record, ensure_ascii=False) + "\n")
        for folder in folders:
            for record in skill(folder, random.Random(7)):
                out.write(json.dumps(record, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
