"""The demo's support bot answers from what it retrieved, except where an answer is invented on purpose."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from random import Random

from stanchion_demo import support, words
from stanchion_demo.steps import ModelCall, Retrieval, Turn
from stanchion_demo.support import Setting
from stanchion_guard import Guard, load
from stanchion_guard.grounding.features import gather
from stanchion_guard.grounding.ledger import Ledger
from stanchion_guard.grounding.weighing import weigh
from stanchion_guard.grounding.words import sentences

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
CONVERSATIONS = 60
READ = load("""
version: 1
policy: read
rules:
  - {id: attack, stages: [retrieved], detector: prompt_injection, action: flag, when_failed: block, when_late: block}
""")


def turns(invents: float) -> Iterator[Turn]:
    rng = Random(11)
    for _ in range(CONVERSATIONS):
        facts = words.facts(rng, NOON)
        told, _planted = support.conversation(rng, facts, Setting("v8", 1.0, invents, 0.1, 0.0))
        yield told[0]


def supported(turn: Turn) -> float:
    """Mean chance of the answer's sentences to be supported by what was retrieved."""
    texts = documents(turn)
    answer = next(step.answer for step in turn.steps if isinstance(step, ModelCall))
    known, ledger = gather([one for text in texts for one in sentences(text)]), Ledger(texts)
    found = [weigh(answer[one.start : one.end], one.tokens, known, ledger).doubt for one in sentences(answer)]
    return 1 - sum(found) / len(found)


def documents(turn: Turn) -> list[str]:
    found = [step.documents for step in turn.steps if isinstance(step, Retrieval)]
    return [str(one["content"]) for some in found for one in some]


def test_usual_answers_stand_in_what_was_retrieved_and_invented_ones_do_not() -> None:
    usual = [supported(turn) >= 0.5 for turn in turns(invents=0.0)]
    invented = [supported(turn) >= 0.5 for turn in turns(invents=1.0)]
    assert sum(usual) > 0.75 * CONVERSATIONS
    assert sum(invented) < 0.25 * CONVERSATIONS


def test_nothing_of_the_shops_own_reads_like_an_attack() -> None:
    guard = Guard(READ)
    texts = {text for turn in turns(invents=0.0) for text in documents(turn)}
    assert len(texts) > CONVERSATIONS
    flagged = [text for text in texts if guard.check(text, stage="retrieved").action != "allow"]
    assert flagged == []
