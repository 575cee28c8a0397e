"""Recorded calls replayed through caches of answers: for a project, and for each of its features."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from stanchion_server.costs.advice import caches
from stanchion_server.costs.advice.records import ZERO, CallFact, Finding, ModelName
from stanchion_server.costs.caching import embedding, pairs, replay, store, sweep
from stanchion_server.costs.caching.asked import Question
from stanchion_server.costs.caching.embedding import Embedder
from stanchion_server.costs.caching.records import Outcome, Rows, Served, Traffic, Truths
from stanchion_server.kernel.ids import span_id_to_hex

MOST_FEATURES = 20
"""Told one by one: those with the most questions."""
Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Part:
    """What one feature has of the caches, which all features share."""

    findings: Sequence[Finding]
    body: Body


@dataclass(frozen=True, slots=True)
class Cached:
    """`body` is empty where no question is recorded. `served` are the hits of each of `sweep.SETTINGS`, whose calls are
    told by their place in `places`, which holds that among all calls."""

    findings: Sequence[Finding]
    body: Body
    of_features: Sequence[Part]
    places: Sequence[int] = ()
    served: Sequence[Served] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """The calls that caches are asked about, their places among all calls, their questions, and what became of them."""

    places: Sequence[int]
    calls: Sequence[CallFact]
    questions: Sequence[Question]
    traffic: Traffic
    rows: Rows
    found: replay.Replayed
    embedder: Embedder


def asked_of(calls: Sequence[CallFact], questions: Mapping[int, Question]) -> Asked | None:
    """Calls that asked for tools are left out: their answer is something to do. None where no question is recorded."""
    places = [place for place in questions if not calls[place].tool_call_count]
    if not places:
        return None
    embedder = embedding.installed()
    asking, wanted = [calls[place] for place in places], [questions[place] for place in places]
    texts = list(dict.fromkeys(question.text for question in wanted))
    traffic, rows = _traffic(asking, wanted, texts), embedder.rows(texts)
    return Asked(places, asking, wanted, traffic, rows, replay.replay(traffic, rows, sweep.SETTINGS), embedder)


def replayed(calls: Sequence[CallFact], asked: Asked | None) -> Cached:
    if asked is None:
        return Cached([], {}, [])
    everything = np.ones(len(asked.calls), dtype=bool)
    worths = _worths(asked, asked.found.outcomes, everything)
    body = {
        "embedder": asked.embedder.name, "weakness": asked.embedder.weakness, "questions": len(asked.calls),
        "settings": _settings(asked, worths, everything), "pairs": _pairs(asked),
    }  # fmt: skip
    found = caches.find(_looked(calls, asked, worths))
    return Cached(found, body, _of_features(calls, asked), asked.places, asked.found.served)


def _traffic(calls: Sequence[CallFact], questions: Sequence[Question], texts: Sequence[str]) -> Traffic:
    """A feature keeps its answers to itself."""
    keys: dict[tuple[str, int], int] = {}
    models: dict[ModelName, int] = {}
    numbers = {text: number for number, text in enumerate(texts)}
    return Traffic(
        at_s=np.array([call.start_time.timestamp() for call in calls]),
        duration_s=np.array([call.duration_s for call in calls]),
        key=np.array([
            keys.setdefault((call.feature, asked.key), len(keys)) for call, asked in zip(calls, questions, strict=True)
        ]),
        text=np.array([numbers[asked.text] for asked in questions]),
        model=np.array([models.setdefault(call.model, len(models)) for call in calls]),
        usd=np.array([float(call.usd or 0) for call in calls]),
        is_priced=np.array([call.usd is not None for call in calls]),
        is_answered=np.array([not call.is_failed for call in calls]),
    )  # fmt: skip


def _of_features(calls: Sequence[CallFact], asked: Asked) -> list[Part]:
    counts = Counter(call.feature for call in asked.calls)
    names = sorted(counts, key=lambda name: (-counts[name], name))[:MOST_FEATURES]
    features = np.array([call.feature for call in asked.calls], dtype=object)
    return [_part(name, [call for call in calls if call.feature == name], asked, features == name) for name in names]


def _part(name: str, calls: Sequence[CallFact], asked: Asked, mine: Truths) -> Part:
    outcomes = [
        store.outcome_of(setting, asked.traffic, served, mine)
        for setting, served in zip(sweep.SETTINGS, asked.found.served, strict=True)
    ]
    worths = _worths(asked, outcomes, mine)
    body = {"feature": name, "questions": int(mine.sum()), "settings": _settings(asked, worths, mine)}
    return Part(caches.find(_looked(calls, asked, worths, name)), body)


def _looked(
    calls: Sequence[CallFact], asked: Asked, worths: tuple[sweep.Worth, ...], feature: str | None = None
) -> caches.Looked:
    return caches.Looked(
        worths, worths[0].outcome.lookups, len(calls), sum((call.usd or ZERO for call in calls), ZERO),
        asked.embedder.name, asked.embedder.weakness, feature,
    )  # fmt: skip


def _worths(asked: Asked, outcomes: Sequence[Outcome], mine: Truths) -> tuple[sweep.Worth, ...]:
    characters = sum(question.characters for question, is_mine in zip(asked.questions, mine, strict=True) if is_mine)
    return tuple(sweep.worth(outcome, characters) for outcome in outcomes)


def _settings(asked: Asked, worths: Sequence[sweep.Worth], mine: Truths) -> list[dict[str, Any]]:
    return [_setting(asked, place, worth, mine) for place, worth in enumerate(worths)]


def _setting(asked: Asked, place: int, worth: sweep.Worth, mine: Truths) -> dict[str, Any]:
    """`like_hits` and `like_usd` are of hits with other words: by band of similarity, and what they saved."""
    outcome, setting, served = worth.outcome, worth.outcome.setting, asked.found.served[place]
    kept = outcome.kept
    like = served.asked[~served.is_equal & mine[served.asked]]
    return {
        "threshold": setting.threshold, "ttl_s": setting.ttl_s, "capacity": setting.capacity,
        "is_shared": setting.is_shared, "hits": outcome.hits, "hit_ratio": outcome.hit_ratio,
        "equal_hits": outcome.equal_hits, "saved_usd": str(worth.saved_usd), "upkeep_usd": str(worth.upkeep_usd),
        "net_usd": str(worth.net_usd), "net_s": worth.net_s, "entries": kept and kept.entries,
        "evicted": kept and kept.evicted, "expired": kept and kept.expired,
        "age_p50_s": outcome.age_p50_s, "age_p95_s": outcome.age_p95_s,
        "like_hits": list(pairs.bands_of(served, mine)) if place in sweep.JUDGED else [],
        "like_usd": str(Decimal(repr(float(asked.traffic.usd[like].sum())))),
    }  # fmt: skip


def _pairs(asked: Asked) -> list[dict[str, Any]]:
    marks = [
        pairs.mark_of(call.feature, question.key, question.text)
        for call, question in zip(asked.calls, asked.questions, strict=True)
    ]
    return [
        {
            "id": pair.id, "feature": asked.calls[pair.asked].feature, "similarity": pair.similarity, "band": pair.band,
            "order": pair.order, "chance": pair.chance, "hits": list(pair.hits),
            "asked": _key(asked.calls[pair.asked]), "answered": _key(asked.calls[pair.answered]),
        }
        for pair in pairs.sampled([asked.found.served[place] for place in sweep.JUDGED], marks)
    ]  # fmt: skip


def _key(call: CallFact) -> dict[str, str]:
    return {
        "trace_id": call.trace_id.hex, "span_id": span_id_to_hex(call.span_id),
        "start_time": call.start_time.isoformat(),
    }  # fmt: skip
