"""The customer's own patterns, in RE2: linear in the text whatever the pattern."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

import re2

from stanchion_guard.detectors import BadParameters, Tier
from stanchion_guard.edits import Same
from stanchion_guard.known import Known
from stanchion_guard.reading import also, plain, plain_bytes
from stanchion_guard.records import Detection, Finding, Subject
from stanchion_guard.scanning import Bytes, bytes_of, folded_bytes_of
from stanchion_guard.views import Reading, View

LARGEST_PROGRAM = 20_000
"""Instructions of one compiled pattern; RE2's time for a text grows with it."""
MOST_FINDINGS = 1_000
MOST_FIRST_SIGNS = 4
"""Different signs with which the matches of all patterns may begin, for a text without them to be passed over."""
_PIECES = re.compile(r"\\.|\[\^?\]?(?:\\.|\[:\^?[a-z]+:\]|[^\]\\])*\]|.", re.DOTALL)
"""A sign with a backslash, a class, or a sign."""
_BEGINNING = re.compile(r"(?:\\([^0-9A-Za-z])|([^\\.^$*+?{}\[\]()|]))(?![*?{])", re.DOTALL)
"""One sign that stands for itself and has to be there."""
_FLAGS = re.compile(r"\(\?(?![:P<])")
_VIEWS = ("any", "raw", "plain", "folded", "squeezed")


class Pattern:
    """Finds every match of every pattern; a pattern's name is the finding's label."""

    name: ClassVar[str] = "pattern"
    version: ClassVar[str] = "2"
    tier: ClassVar[Tier] = "light"
    labels: ClassVar[tuple[str, ...]] = ("PATTERN",)
    threshold: ClassVar[float] = 0.5
    blind_to: ClassVar[str] = "What the patterns do not say; look-around and back-references, which RE2 does not have."
    parameters: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "required": ["patterns"],
        "properties": {
            "patterns": {
                "type": "array",
                "minItems": 1,
                "maxItems": 200,
                "items": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["name", "regex"],
                    "properties": {
                        "name": {"type": "string", "minLength": 1, "maxLength": 100},
                        "regex": {"type": "string", "minLength": 1, "maxLength": 2000},
                        "replacement": {"type": "string", "maxLength": 500},
                        "score": {"type": "number", "minimum": 0, "maximum": 1},
                    },
                },
            },
            "view": {"enum": list(_VIEWS)},
        },
    }

    def __init__(
        self, patterns: Sequence[Mapping[str, Any]], view: Literal["any", "raw", "plain", "folded", "squeezed"] = "any"
    ) -> None:
        """`patterns`: mappings of `name`, `regex`, and optionally `replacement` (what redaction puts for a match) and
        `score` (1.0). `view`: which view they read; "any" is the raw text and, where they differ from it, the plain
        view and what escapes and encoded runs stand for. ValueError names a pattern that is none."""
        if view not in _VIEWS:
            raise ValueError(f"pattern has no view {view!r}; it has {', '.join(_VIEWS)}")
        self._view = view
        compiled = _all_compiled(patterns)
        self._patterns = [
            (str(one["name"]), found, float(one.get("score", 1.0)), one.get("replacement"))
            for one, found in zip(patterns, compiled, strict=True)
        ]
        self._first = _first_signs([str(one["regex"]) for one in patterns])
        self._any = _together([compiled for _, compiled, _, _ in self._patterns])

    def detect(self, reading: Reading, part: int, subject: Subject) -> Detection:
        findings: list[Finding] = []
        replacements: dict[int, str] = {}
        for view, data in self._read(reading):
            if not self._may_match(data):
                continue
            known = Known(findings, view)
            for found, replacement in self._matches(view, data, part):
                if len(findings) >= MOST_FINDINGS:
                    break
                if known.lacks(found):
                    if replacement is not None:
                        replacements[len(findings)] = replacement
                    findings.append(found)
        score = max((finding.score for finding in findings), default=0.0)
        return Detection(score, tuple(findings), replacements=replacements)

    def _may_match(self, data: Bytes) -> bool:
        raw = data.data
        if self._first is not None and not any(sign in raw for sign in self._first):
            return False
        return self._any is None or data.has(self._any)

    def _matches(self, view: View, data: Bytes, part: int) -> Iterator[tuple[Finding, str | None]]:
        for label, compiled, score, replacement in self._patterns:
            for hit in data.hits(compiled):
                if hit.start < hit.end:
                    start, end = view.original(hit.start, hit.end)
                    yield (
                        Finding(self.name, label, score, part, start, end, "a pattern matched", view.name),
                        replacement,
                    )

    def _read(self, reading: Reading) -> Iterator[tuple[View, Bytes]]:
        if self._view in ("any", "raw"):
            yield Same("raw", reading.raw), bytes_of(reading)
        if self._view == "plain" or (self._view == "any" and plain_bytes(reading) is not bytes_of(reading)):
            yield plain(reading), plain_bytes(reading)
        if self._view == "any":
            for view in also(reading):
                yield view, Bytes(view.text)
        if self._view == "folded":
            yield reading.folded, folded_bytes_of(reading)
        if self._view == "squeezed":
            yield reading.squeezed, Bytes(reading.squeezed.text)


def _all_compiled(patterns: Sequence[Mapping[str, Any]]) -> list[Any]:
    made, problems = [], []
    for index, one in enumerate(patterns):
        try:
            made.append(_compile(one["name"], one["regex"]))
        except ValueError as wrong:
            problems.append((("patterns", index, "regex"), str(wrong)))
    if problems:
        raise BadParameters(problems)
    return made


def _compile(name: str, regex: str) -> Any:
    try:
        compiled = _quietly(regex)
    except re2.error as wrong:
        raise ValueError(f"pattern {name!r} is no RE2 pattern: {_reason(wrong)}") from wrong
    if compiled.programsize > LARGEST_PROGRAM:
        raise ValueError(f"pattern {name!r} compiles to {compiled.programsize} steps, more than {LARGEST_PROGRAM}")
    if compiled.fullmatch("") is not None:
        raise ValueError(f"pattern {name!r} matches the empty text")
    return compiled


def _together(patterns: Sequence[Any]) -> Any:
    """All patterns in one, so that a text with none of them is read once; None where that does not pay."""
    if len(patterns) < 2 or sum(one.programsize for one in patterns) > LARGEST_PROGRAM:
        return None
    try:
        return _quietly("|".join(f"(?:{one.pattern})" for one in patterns))
    except re2.error:
        return None


def _first_signs(patterns: Sequence[str]) -> tuple[bytes, ...] | None:
    """Signs of which one begins every match; None where a first look at the patterns does not tell, or tells many."""
    signs = set()
    for pattern in patterns:
        if "\\Q" in pattern or _FLAGS.search(pattern):
            return None
        for branch in _branches(pattern):
            sign = _BEGINNING.match(branch)
            if sign is None:
                return None
            signs.add((sign[1] or sign[2]).encode("utf-8", "surrogatepass"))
    return tuple(sorted(signs)) if len(signs) <= MOST_FIRST_SIGNS else None


def _branches(pattern: str) -> Iterator[str]:
    """What stands between the bars that are inside of nothing."""
    depth, start = 0, 0
    for piece in _PIECES.finditer(pattern):
        depth += (piece[0] == "(") - (piece[0] == ")")
        if piece[0] == "|" and depth == 0:
            yield pattern[start : piece.start()]
            start = piece.end()
    yield pattern[start:]


def _quietly(regex: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    return re2.compile(regex, options)


def _reason(wrong: Exception) -> str:
    told = wrong.args[0] if wrong.args else "unknown reason"
    return told.decode() if isinstance(told, bytes) else str(told)
