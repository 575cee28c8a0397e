"""Pairs of questions that a cache would have taken for one: read and judged by people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from stanchion_server.costs import verdicts
from stanchion_server.costs.caching.sweep import THRESHOLDS
from stanchion_server.kernel.ids import span_id_from_hex
from stanchion_server.policies import recorded
from stanchion_server.reports.savings_told import Cache, Pair
from stanchion_server.web.pages.frame import Visit, project_page

AT_ONCE = 5
MOST_JUDGED = 50
SHOWN_CHARS = 1_500
WORDS = {"same": "same answer would do", "wrong": "would have been wrong", "unsure": "unsure"}


@dataclass(frozen=True, slots=True)
class Shown:
    """A pair to judge with its texts, cut to be read; texts are empty for viewers, and where none are kept any more."""

    pair: Pair
    asked: str
    before: str
    answer: str


@dataclass(frozen=True, slots=True)
class Judging:
    """`to_judge` are the next ones, `judged` the newest; `left` counts all that are not judged. `edge` is the lowest
    threshold that pairs are drawn from."""

    to_judge: Sequence[Shown]
    judged: Sequence[tuple[Pair, str]]
    left: int
    count: int
    edge: float
    words: Mapping[str, str]


def judging(visit: Visit, cache: Cache) -> Judging:
    """With `?pair=` that pair comes first, judged or not."""
    wanted = visit.request.GET.get("pair", "")
    open_ones = [pair for pair in cache.pairs if pair.verdict is None]
    again = [pair for pair in cache.pairs if pair.verdict is not None and pair.row["id"] == wanted]
    said = [(pair.verdict.judged_at, place, pair) for place, pair in enumerate(cache.pairs) if pair.verdict is not None]
    done = [(pair, WORDS[pair.verdict.says]) for _at, _place_of, pair in sorted(said, reverse=True) if pair.verdict]
    few = [*again, *open_ones][:AT_ONCE]
    shown = list(_shown(visit, few)) if visit.may_read else []
    return Judging(shown, done[:MOST_JUDGED], len(open_ones), len(done), THRESHOLDS[0], WORDS)


@require_POST
@project_page
def judge_pair(visit: Visit, pair: str) -> HttpResponse:
    visit.require_reader()
    verdicts.give(visit.project.pk, pair, visit.request.POST.get("verdict", ""), visit.who)
    messages.success(visit.request, "Your verdict is kept. Judge the pair again to change it.")
    feature = visit.request.POST.get("feature", "")
    asked = f"?{urlencode({'feature': feature})}" if feature else ""
    return redirect(f"{reverse('savings', args=[visit.project.slug])}{asked}#pairs")


def _shown(visit: Visit, few: Sequence[Pair]) -> Iterator[Shown]:
    calls = list(dict.fromkeys(_call(pair.row[side]) for pair in few for side in ("asked", "answered")))
    kept = recorded.with_texts(visit.project.pk, calls)
    told = {(call.trace_id, call.span_id): texts.content for call, texts in kept}
    for pair in few:
        asked, answered = (told.get(_place(pair.row[side]), {}) for side in ("asked", "answered"))
        yield Shown(pair, _question(asked), _question(answered), _answer(answered))


def _call(key: Mapping[str, str]) -> recorded.Call:
    return recorded.Call(*_place(key), datetime.fromisoformat(key["start_time"]), None)


def _place(key: Mapping[str, str]) -> tuple[UUID, int]:
    return UUID(hex=key["trace_id"]), span_id_from_hex(key["span_id"])


def _question(content: Mapping[str, Any]) -> str:
    """What came from the user since the model's last answer."""
    told = content.get("input") or ()
    answered = max((place for place, one in enumerate(told) if one.get("role") == "assistant"), default=-1)
    return _words(told[answered + 1 :])


def _answer(content: Mapping[str, Any]) -> str:
    return _words((content.get("output") or ())[:1])


def _words(messages_of: Sequence[Mapping[str, Any]]) -> str:
    parts = [part for one in messages_of for part in one.get("parts") or () if part.get("type") == "text"]
    text = "\n".join(str(part.get("text") or "") for part in parts)
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]} …"
