"""Conversations of the support bot: embed the question, look it up in the handbook, answer as a stream."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from stanchion_demo import catalogue, planted_texts
from stanchion_demo.catalogue import Model, Prompt
from stanchion_demo.other_languages import EXCHANGES
from stanchion_demo.recall_texts import RECALL
from stanchion_demo.steps import Embedding, Kind, Message, ModelCall, Rating, Retrieval, Step, Turn
from stanchion_demo.support_texts import POLICY, TOPICS, Topic
from stanchion_demo.words import Facts, write

MODELS = (catalogue.GPT_41, catalogue.HAIKU, catalogue.GPT_4O_MINI, catalogue.LLAMA)
SHARES = (32, 22, 19, 27)
STYLE = {
    "v6": "\n\nAnswers may be as long as needed.",
    "v7": "\n\nThink about every rule above, one after the other, before you answer, and quote the ones that matter.",
    "v8": "\n\nAnswer first, then give the reason in one sentence.",
}


@dataclass(frozen=True, slots=True)
class Setting:
    """What the day and the release decide. `trouble` is the one thing planted here, or None."""

    prompt_version: str
    slowness: float
    invents: float
    recall: float
    foreign: float
    failure: int = 0
    trouble: Kind | None = None


@dataclass(slots=True)
class _Talk:
    """One conversation in the making. `objection` is what a person would say to an invented answer, and correct."""

    rng: Random
    facts: Facts
    setting: Setting
    model: Model
    prompt: Prompt
    topic: Topic
    planted: set[Kind]
    history: list[Message]
    objection: tuple[str, str] = ("", "")


def conversation(rng: Random, facts: Facts, setting: Setting) -> tuple[list[Turn], frozenset[Kind]]:
    """One to seven turns, and what was planted in them."""
    topic = rng.choices(TOPICS, weights=(30, 17, 12, 16, 9, 11, 5))[0]
    planted: set[Kind] = set()
    if setting.trouble is None and rng.random() < setting.recall:
        topic = RECALL
        planted.add(Kind.RECALL_TOPIC)
    model = rng.choices(MODELS, weights=SHARES)[0]
    prompt = Prompt("support-answer", setting.prompt_version, POLICY + STYLE[setting.prompt_version])
    talk = _Talk(rng, facts, setting, model, prompt, topic, planted, [])
    if setting.slowness > 1.2:
        planted.add(Kind.SLOW_RELEASE)
    turns = [_turn(talk, *_first_exchange(talk), pause_s=0.0)]
    if not turns[0].steps or _failed(turns[0]):
        return turns, frozenset(planted)
    while len(turns) < 7 and rng.random() < 0.42:
        place = rng.randrange(min(len(topic.later), len(topic.further)))
        question, answer = write(rng, topic.later[place], facts), write(rng, topic.further[place], facts)
        turns.append(_turn(talk, question, answer, pause_s=rng.uniform(15, 150)))
    return _rated(talk, turns), frozenset(planted)


def _first_exchange(talk: _Talk) -> tuple[str, str]:
    rng, facts, trouble = talk.rng, talk.facts, talk.setting.trouble
    if trouble is not None:
        talk.planted.add(trouble)
    pairs = {
        Kind.TOXIC_INPUT: (planted_texts.TOXIC_QUESTIONS, planted_texts.CALM_ANSWERS),
        Kind.TOXIC_OUTPUT: (talk.topic.questions, planted_texts.TOXIC_ANSWERS),
        Kind.PII_INPUT: (planted_texts.PII_QUESTIONS, planted_texts.CALM_ANSWERS[1:]),
        Kind.PII_OUTPUT: (talk.topic.questions, planted_texts.PII_ANSWERS),
        Kind.SECRET_INPUT: (planted_texts.SECRET_QUESTIONS, planted_texts.REFUSALS),
        Kind.INJECTION_DIRECT: (planted_texts.INJECTIONS, planted_texts.REFUSALS),
        Kind.REFUSAL: (planted_texts.OTHER_REFUSED, planted_texts.REFUSALS),
    }
    if trouble in pairs:
        questions, answers = pairs[trouble]
        if trouble in (Kind.INJECTION_DIRECT, Kind.SECRET_INPUT):
            talk.planted.add(Kind.REFUSAL)
        return write(rng, rng.choice(questions), facts), write(rng, rng.choice(answers), facts)
    if rng.random() < talk.setting.foreign:
        talk.planted.add(Kind.OTHER_LANGUAGE)
        _, question, answer = rng.choice(EXCHANGES)
        return write(rng, question, facts), write(rng, answer, facts)
    place = rng.randrange(len(talk.topic.questions))
    question = write(rng, talk.topic.questions[place], facts)
    if trouble is Kind.UNGROUNDED or (trouble is None and rng.random() < talk.setting.invents):
        talk.planted.add(Kind.UNGROUNDED)
        answer, comment, correction = rng.choice(planted_texts.UNGROUNDED[talk.topic.name])
        talk.objection = (write(rng, comment, facts), correction)
        return question, write(rng, answer, facts)
    return question, write(rng, talk.topic.answers[rng.choice(talk.topic.fits[place])], facts)


def _turn(talk: _Talk, question: str, answer: str, pause_s: float) -> Turn:
    rng = talk.rng
    documents = _documents(talk)
    asked = _asked(question, documents)
    steps: list[Step] = [
        Embedding(catalogue.EMBEDDING, (question,), round(rng.lognormvariate(-2.4, 0.3), 3)),
        Retrieval(question, documents, round(rng.lognormvariate(-3.4, 0.5), 3)),
    ]
    messages = [*talk.history, {"role": "user", "content": asked}]
    slowness = talk.setting.slowness
    reply = catalogue.call(
        rng, talk.model, talk.prompt, messages, answer, streamed=rng.random() < 0.8, slowness=slowness
    )
    steps += _with_failure(talk, reply)
    talk.history += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return Turn(pause_s, tuple(steps))


def _asked(question: str, documents: tuple[dict[str, object], ...]) -> str:
    excerpts = "\n\n".join(f"[{number}] {found['content']}" for number, found in enumerate(documents, 1))
    return f"{question}\n\n---\nThe case, and handbook excerpts for this question:\n{excerpts}"


def _documents(talk: _Talk) -> tuple[dict[str, object], ...]:
    """The case, then two to four excerpts, those of the topic first; an injected one stands among them."""
    rng, topic = talk.rng, talk.topic
    strangers = [document for other in TOPICS if other is not topic for document in other.documents]
    wanted = [*topic.documents, *rng.sample(strangers, rng.randint(0, 1))]
    if talk.setting.trouble is Kind.INJECTION_DOCUMENT:
        wanted.insert(1, rng.choice(planted_texts.INJECTED_DOCUMENTS))
    score = rng.uniform(0.82, 0.93)
    case = talk.facts["ticket"]
    found = [_document(f"cases/{case}", 0.95, f"Case {case}", topic.record, talk.facts)]
    for title, text in wanted:
        name = write(rng, title, talk.facts)
        source = f"handbook/{name.lower().replace(' ', '-').replace(':', '')}"
        found.append(_document(source, score, name, text, talk.facts))
        score -= rng.uniform(0.02, 0.11)
    return tuple(found)


def _document(source: str, score: float, name: str, text: str, facts: Facts) -> dict[str, object]:
    content = " ".join(text.split())
    for key, value in facts.items():
        content = content.replace("{" + key + "}", value)
    return {"id": source, "score": round(score, 3), "content": f"{name}. {content}", "metadata": {"title": name}}


def _with_failure(talk: _Talk, reply: ModelCall) -> list[Step]:
    """The call as it is; or one that fails, and most of the time a second model that steps in."""
    failure = talk.setting.failure
    if not failure or talk.history:
        return [reply]
    talk.planted.add({429: Kind.RATE_LIMITED, 408: Kind.TIMED_OUT}.get(failure, Kind.SERVER_ERROR))
    failed = fail(talk.rng, reply, failure)
    if talk.rng.random() < 0.3:
        return [failed]
    spare = catalogue.HAIKU if reply.provider == "openai" else catalogue.GPT_4O_MINI
    return [failed, catalogue.call(talk.rng, spare, talk.prompt, list(reply.messages), reply.answer, streamed=True)]


def fail(rng: Random, call: ModelCall, failure: int) -> ModelCall:
    """The same request, refused with a status after the time that takes; 408 is our own patience of 20 seconds."""
    wait = 20.0 if failure == 408 else round(rng.lognormvariate(-1.3, 0.5) * (1 if failure == 429 else 6), 3)
    return replace(call, failure=failure, latency_s=wait, first_token_s=None)


def _failed(turn: Turn) -> bool:
    last = turn.steps[-1]
    return isinstance(last, ModelCall) and bool(last.failure)


def _rated(talk: _Talk, turns: list[Turn]) -> list[Turn]:
    """One in seven says something; who was treated badly more often, and badly."""
    rng = talk.rng
    bad = talk.planted & {Kind.UNGROUNDED, Kind.TOXIC_OUTPUT, Kind.REFUSAL, Kind.PII_OUTPUT}
    slow = Kind.SLOW_RELEASE in talk.planted
    if rng.random() > (0.45 if bad else 0.2 if slow else 0.14):
        return turns
    place = len(turns) - 1
    if rng.random() < (0.12 if bad else 0.4 if slow else 0.84):
        talk.planted.add(Kind.RATED_UP)
        rating = Rating(1.0, "thumbs_up", rng.uniform(5, 90), rng.choice(planted_texts.GOOD_COMMENTS))
    else:
        talk.planted.add(Kind.RATED_DOWN)
        comment, correction = talk.objection
        if correction:
            talk.planted.add(Kind.CORRECTED)
        comment = comment or rng.choice(planted_texts.BAD_COMMENTS)
        rating = Rating(0.0, "thumbs_down", rng.uniform(5, 90), comment, correction)
        place = 0 if bad else place
    turns[place] = replace(turns[place], rating=rating)
    return turns
