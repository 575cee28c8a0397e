"""Which properties of calls are compared, and how each is made of a sample. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from stanchion_server.drift import texts
from stanchion_server.drift.records import Column, Flags, Kind, Numbers, Places, Sample
from stanchion_server.drift.texts import Vectors

Words = dict[str, Mapping[str, Sequence[str]]]

NUMBERS: Mapping[str, tuple[str, str]] = {
    "prompt_characters": ("Prompt length", "characters"),
    "response_characters": ("Answer length", "characters"),
    "input_tokens": ("Input tokens", "tokens"),
    "output_tokens": ("Output tokens", "tokens"),
    "latency_ms": ("Latency", "ms"),
    "ttft_ms": ("Time to first token", "ms"),
    "cost_usd": ("Cost", "usd"),
    "tool_calls": ("Tool calls asked for", ""),
}
CATEGORIES: Mapping[str, str] = {
    "outcome": "Errors",
    "finish_reason": "Finish reason",
    "language": "Language of the prompt",
    "answer_language": "Language of the answer",
    "topic": "Topic of the prompt",
    "model": "Model mix",
    "provider": "Provider mix",
    "feature": "Feature mix",
    "prompt_version": "Prompt version",
    "release": "Release",
    "hour": "Hour of the day (UTC)",
}
TEXTS: Mapping[str, str] = {"prompt": "Prompt text", "response": "Answer text"}
USERS: Mapping[str, str] = {"calls_per_user": "Calls of a user", "new_users": "New users"}
SCORE = "score:"
NAMES: Mapping[str, str] = {
    **{name: label for name, (label, _unit) in NUMBERS.items()}, **CATEGORIES, **TEXTS, **USERS,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Prepared:
    """`sample` has topics as a further label. `words` tells of a column what its topics, or its change, are about."""

    columns: tuple[Column, ...]
    sample: Sample
    words: Mapping[str, Mapping[str, Sequence[str]]]


def label_of(name: str) -> str:
    return f"Score: {name.removeprefix(SCORE)}" if name.startswith(SCORE) else NAMES.get(name, name)


def is_known(name: str) -> bool:
    return name in NAMES or (name.startswith(SCORE) and len(name) > len(SCORE))


def prepare(sample: Sample, others: Sequence[Column], wanted: Sequence[str], random: np.random.Generator) -> Prepared:
    """The wanted columns, all where none is named; columns that no call of either window tells are left out."""
    vectors, words = _vectors(sample, random)
    if "prompt" in vectors:
        rows = np.flatnonzero(_has_words(sample, "prompt"))
        sample, words["topic"] = _with_topics(sample, rows, vectors["prompt"], random)
    found = [*_numbers(sample), *_categories(sample), *_texts(sample, vectors), *others]
    kept = [column for column in found if len(column.is_current) and (not wanted or column.name in wanted)]
    return Prepared(tuple(kept), sample, words)


def _vectors(sample: Sample, random: np.random.Generator) -> tuple[dict[str, Vectors], Words]:
    vectors: dict[str, Vectors] = {}
    words: Words = {}
    for name in TEXTS:
        inside = _has_words(sample, name)
        if inside.sum() < 2:
            continue
        listed = [sample.words[name][int(place)] for place in np.flatnonzero(inside)]
        vectors[name] = texts.vectors(listed, random)
        now = sample.is_current[inside]
        words[name] = {"more": texts.telling_words(listed, now, 10), "less": texts.telling_words(listed, ~now, 10)}
    return vectors, words


def _has_words(sample: Sample, name: str) -> Flags:
    return np.array([bool(words) for words in sample.words.get(name, ())], dtype=np.bool_)


def _with_topics(
    sample: Sample, rows: Places, vectors: Vectors, random: np.random.Generator
) -> tuple[Sample, Mapping[str, Sequence[str]]]:
    places = texts.topics(vectors, random)
    listed = [sample.words["prompt"][int(row)] for row in rows]
    told = {
        f"topic {topic + 1}": texts.telling_words(listed, places == topic) for topic in sorted(set(places.tolist()))
    }
    labels: list[str | None] = [None] * len(sample.keys)
    for row, topic in zip(rows, places, strict=True):
        labels[int(row)] = f"topic {int(topic) + 1}"
    return replace(sample, labels={**sample.labels, "topic": labels}), told


def _numbers(sample: Sample) -> list[Column]:
    told = {name: sample.numbers[name] for name in NUMBERS if name in sample.numbers}
    scores = {f"{SCORE}{name}": values for name, values in sample.scores.items()}
    found = []
    for name, values in {**told, **scores}.items():
        rows = np.array([place for place, value in enumerate(values) if value is not None], dtype=np.intp)
        array = np.array([values[int(row)] for row in rows], dtype=np.float64)
        found.append(_column(name, "number", array, sample, rows))
    return found


def _categories(sample: Sample) -> list[Column]:
    found = []
    for name in CATEGORIES:
        values = sample.labels.get(name, ())
        rows = np.array([place for place, value in enumerate(values) if value is not None], dtype=np.intp)
        found.append(_column(name, "category", [str(values[int(row)]) for row in rows], sample, rows))
    return found


def _texts(sample: Sample, vectors: Mapping[str, Vectors]) -> list[Column]:
    return [
        _column(name, "text", rows, sample, np.flatnonzero(_has_words(sample, name))) for name, rows in vectors.items()
    ]


def _column(name: str, kind: Kind, values: Numbers | Sequence[str] | Vectors, sample: Sample, rows: Places) -> Column:
    unit = NUMBERS[name][1] if name in NUMBERS else "score" if name.startswith(SCORE) else ""
    _known, blocks = np.unique(sample.blocks[rows], return_inverse=True)
    return Column(name, kind, values, sample.is_current[rows], blocks.astype(np.intp), rows, unit)
