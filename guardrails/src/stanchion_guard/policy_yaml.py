"""Policy text, YAML or JSON, read into plain data that remembers the line and column of every value.

The YAML is that of the 1.2 core schema: `no` and `on` are texts (so Norwegian can have a threshold), `12:30` is no
number. Anchors, aliases, tags, duplicate keys and several documents in one text are refused, so what is written is what
is meant and no text grows while it is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

MAX_CHARACTERS = 4_000_000
MAX_VALUES = 200_000
MAX_DEPTH = 24
MOST_SPELT = 100
"""Problems that the text of a PolicyError spells out."""

Path = tuple[str | int, ...]
Mark = tuple[int, int]


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing wrong with a policy. `line` and `column` count from 1; None for data that came without a text."""

    line: int | None
    column: int | None
    where: str
    text: str

    def __str__(self) -> str:
        place = f"line {self.line}, column {self.column}" if self.line is not None else ""
        return ": ".join(piece for piece in (place, self.where, self.text) if piece)


class PolicyError(ValueError):
    """Every problem of a policy at once, in the order of the text; its own text spells out the first of them."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: (problem.line or 0, problem.column or 0)))
        lines = [str(problem) for problem in self.problems[:MOST_SPELT]]
        beyond = len(self.problems) - len(lines)
        super().__init__("\n".join([*lines, f"and {beyond:,} problems more"] if beyond else lines))


@dataclass(slots=True)
class Document:
    """Plain data, where its values stand, and what was already wrong while reading it."""

    data: Any = None
    values: dict[Path, Mark] = field(default_factory=dict)
    keys: dict[Path, Mark] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def problem(self, path: Path, text: str, *, at_key: bool = False) -> Problem:
        """A problem at a path: at the nearest place above it where the path itself does not stand in the text."""
        marks = (self.keys, self.values) if at_key else (self.values, self.keys)
        for length in range(len(path), -1, -1):
            for known in marks:
                if path[:length] in known:
                    line, column = known[path[:length]]
                    return Problem(line, column, spell(path), text)
        return Problem(None, None, spell(path), text)


def spell(path: Path) -> str:
    """("rules", 2, "action") -> "rules[2].action"."""
    spelt = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return spelt.removeprefix(".")


def read(source: str | bytes | Mapping[str, Any]) -> Document:
    """The document of a policy text, or of data parsed already. Raises PolicyError for a text that is no YAML."""
    if isinstance(source, Mapping):
        return _Copier().copy(source)
    if isinstance(source, bytes):
        try:
            source = source.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise PolicyError([Problem(None, None, "", f"the policy is not UTF-8 (byte {error.start})")]) from None
    if len(source) > MAX_CHARACTERS:
        limit = f"the policy has {len(source):,} characters; at most {MAX_CHARACTERS:,} are read"
        raise PolicyError([Problem(None, None, "", limit)])
    if half := _HALF_PAIR.search(source):
        line, column = source.count("\n", 0, half.start()) + 1, half.start() - source.rfind("\n", 0, half.start())
        told = "half of a pair of characters, which no file can hold: write the whole character"
        raise PolicyError([Problem(line, column, "", told)])
    return _Composer().compose(source)


class _Copier:
    """Copies data given as Python objects, so that the caller's later changes do not reach the policy."""

    def copy(self, source: Mapping[str, Any]) -> Document:
        document, self.left = Document(), MAX_VALUES
        document.data = self._copy(source, 0)
        return document

    def _copy(self, value: Any, depth: int) -> Any:
        self.left -= 1
        if depth > MAX_DEPTH or self.left < 0:
            raise PolicyError([Problem(None, None, "", _too_large())])
        if isinstance(value, Mapping):
            return {str(key): self._copy(inner, depth + 1) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self._copy(inner, depth + 1) for inner in value]
        if value is None or isinstance(value, str | bool | int | float):
            return value
        raise PolicyError([Problem(None, None, "", f"{type(value).__name__} is no value a policy can hold")])


_HALF_PAIR = re.compile("[\ud800-\udfff]")
_SURROGATES = re.compile(r"(?<!\\)\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})", re.IGNORECASE)


def _pair(match: re.Match[str]) -> str:
    high, low = int(match[1], 16), int(match[2], 16)
    return chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))


class _Composer:
    """Builds data from YAML events. JSON is read by the same way: it is YAML but for its surrogate pairs."""

    def compose(self, text: str) -> Document:
        self.document, self.left = Document(), MAX_VALUES
        text = text.removeprefix("\ufeff")
        if text.lstrip().startswith("{"):
            text = _SURROGATES.sub(_pair, text)
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        try:
            self.events: Iterator[Any] = iter(yaml.parse(text, Loader=loader))
            self._documents()
        except yaml.MarkedYAMLError as error:
            raise PolicyError([*self.document.problems, _syntax(error)]) from None
        except yaml.YAMLError as error:
            raise PolicyError([Problem(None, None, "", str(error).splitlines()[0])]) from None
        return self.document

    def _documents(self) -> None:
        seen = 0
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                seen += 1
                if seen > 1:
                    self._fail(event, (), "one text holds one policy: remove what follows the second '---'")
                self.document.data = self._value(next(self.events), (), 0)

    def _value(self, event: Any, path: Path, depth: int) -> Any:
        self.left -= 1
        if self.left < 0 or depth > MAX_DEPTH:
            self._fail(event, path, _too_large())
        self.document.values[path] = _mark(event)
        if isinstance(event, yaml.AliasEvent):
            self._note(event, path, "aliases (*name) are not read: write the value out")
            return None
        if event.anchor is not None:
            self._note(event, path, "anchors (&name) are not read: remove it and write the value out where it is used")
        if event.tag is not None:
            self._note(
                event, path, f"tags ({event.tag}) are not read: remove it; quote a text that looks like a number"
            )
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(path, depth)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path, depth)
        return resolve(event.value) if event.implicit[0] else event.value

    def _mapping(self, path: Path, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                self._fail(event, path, "a key must be a plain text; quote a value that begins with { [ * or &")
            key = event.value
            if key in found:
                self._note(event, (*path, key), "the key stands here a second time: remove one of the two")
            self.document.keys[*path, key] = _mark(event)
            found[key] = self._value(next(self.events), (*path, key), depth + 1)
        return found

    def _sequence(self, path: Path, depth: int) -> list[Any]:
        found: list[Any] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            found.append(self._value(event, (*path, len(found)), depth + 1))
        return found

    def _note(self, event: Any, path: Path, text: str) -> None:
        self.document.problems.append(Problem(*_mark(event), spell(path), text))

    def _fail(self, event: Any, path: Path, text: str) -> None:
        raise PolicyError([*self.document.problems, Problem(*_mark(event), spell(path), text)])


_INTEGER = re.compile(r"[-+]?[0-9]{1,18}\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]{1,40}|[0-9]{1,40}(?:\.[0-9]{0,40})?)(?:[eE][-+]?[0-9]{1,3})?\Z")
_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


def resolve(text: str) -> Any:
    """What an unquoted YAML scalar stands for: null, a truth value, a finite number, or itself."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.match(text):
        return int(text)
    if _FLOAT.match(text) and abs(number := float(text)) != float("inf"):
        return number
    return text


def _mark(event: Any) -> Mark:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _syntax(error: yaml.MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    hint = "; indent with spaces" if error.problem and "\\t" in error.problem else ""
    line, column = (mark.line + 1, mark.column + 1) if mark else (None, None)
    return Problem(line, column, "", f"not readable as YAML or JSON: {error.problem or error.context}{hint}")


def _too_large() -> str:
    return f"more than {MAX_VALUES:,} values or nested deeper than {MAX_DEPTH}: make the policy smaller"
