"""Rules as YAML: reading with the line of each mistake, and writing. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from stanchion_server.alerts import definitions
from stanchion_server.alerts.definitions import Definition
from stanchion_server.alerts.fields import Path

MAX_CHARACTERS = 512 * 1024
MOST_RULES = 1_000


@dataclass(frozen=True, slots=True)
class Mistake:
    """`line` counts from 1; None where the document is too broken to tell."""

    line: int | None
    path: str
    message: str


@dataclass(frozen=True, slots=True)
class Written:
    """One rule as it stands in the document, and what it means."""

    plain: Mapping[str, Any]
    definition: Definition


def read(text: str) -> tuple[tuple[Written, ...], tuple[Mistake, ...]]:
    """All rules of a document `rules: [...]`, or all that is wrong with it."""
    plain, node, mistake = _loaded(text)
    if mistake is not None:
        return (), (mistake,)
    rules = plain.get("rules") if isinstance(plain, dict) else None
    if not isinstance(rules, list) or len(rules) > MOST_RULES or set(plain) - {"rules", "version"}:
        return (), (Mistake(1, "", f"A document holds `rules:`, a list of at most {MOST_RULES} rules."),)
    return _rules(rules, node)


def read_one(text: str) -> tuple[Written | None, tuple[Mistake, ...]]:
    """A document that holds one rule, in a list of rules or by itself."""
    plain, node, mistake = _loaded(text)
    if mistake is not None:
        return None, (mistake,)
    if isinstance(plain, dict) and "rules" in plain:
        found, mistakes = read(text)
        if len(found) != 1 and not mistakes:
            mistakes = (Mistake(1, "", f"One rule is wanted here; the document holds {len(found)}."),)
        return (None if mistakes else found[0]), mistakes
    definition, problems = definitions.parse(plain)
    if definition is None:
        return None, tuple(Mistake(line_of(node, one.path), "", one.message) for one in problems)
    return Written(plain, definition), ()


def _loaded(text: str) -> tuple[Any, Any, Mistake | None]:
    """The values and the nodes with their lines."""
    if len(text) > MAX_CHARACTERS:
        return (
            None,
            None,
            Mistake(None, "", f"The document has more than {MAX_CHARACTERS // 1024} thousand characters."),
        )
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader)):
            return None, None, Mistake(None, "", "Aliases (*name) are not read here: write each value out.")
        return yaml.safe_load(text), yaml.compose(text, Loader=yaml.SafeLoader), None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "it nests too deeply or holds an impossible value"
        return None, None, Mistake(mark.line + 1 if mark else None, "", f"This is no YAML: {problem}.")


def _rules(rules: Sequence[Any], node: Any) -> tuple[tuple[Written, ...], tuple[Mistake, ...]]:
    found, mistakes, names = [], [], dict[str, int]()
    for place, one in enumerate(rules):
        definition, problems = definitions.parse(one)
        for problem in problems:
            path: Path = ("rules", place, *problem.path)
            name = one.get("name") if isinstance(one, dict) else None
            mistakes.append(Mistake(line_of(node, path), f"rules[{place}] {name or ''}".strip(), problem.message))
        if definition is None:
            continue
        if definition.name in names:
            line = line_of(node, ("rules", place, "name"))
            mistakes.append(Mistake(line, f"rules[{place}]", f"The name {definition.name!r} stands twice."))
        names[definition.name] = place
        found.append(Written(one, definition))
    return (() if mistakes else tuple(found)), tuple(mistakes)


def line_of(node: Any, path: Path) -> int | None:
    """The line of the value at the path, or of the nearest thing around it that is there."""
    line: int | None = None
    for part in path:
        if node is None:
            break
        line = node.start_mark.line + 1
        node = _child(node, part)
    return node.start_mark.line + 1 if node is not None else line


def _child(node: Any, part: str | int) -> Any:
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int):
        return node.value[part] if part < len(node.value) else None
    if isinstance(node, yaml.MappingNode):
        return next((value for key, value in node.value if key.value == part), None)
    return None


def write(rules: Sequence[Mapping[str, Any]]) -> str:
    return _dumped({"rules": [definitions.dump(rule) for rule in rules]})


def write_one(rule: Mapping[str, Any]) -> str:
    return _dumped(definitions.dump(rule))


def _dumped(plain: Any) -> str:
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=110)
