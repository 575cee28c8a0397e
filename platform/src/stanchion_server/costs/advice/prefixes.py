"""Beginnings that many prompts share: what providers' prompt caches would charge less for."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from stanchion_server.costs.advice.records import ZERO, CallFact, Finding, ModelName, Prefix, PromptName, Tariff
from stanchion_server.costs.pricing import SMALLEST_CACHED_PROMPT_TOKENS

CACHE_LIFETIME_S = 300.0
"""How long a prefix is kept unused: 5 minutes with Anthropic, 5 to 10 with OpenAI (their guides on prompt caching,
read 2026-11)."""
FEWEST_CALLS = 50
FEWEST_TEXTS = 8
MOST_TEXTS = 40
LONGEST = 200_000
"""Characters of a prompt that are compared, at most."""
MOST_GROUPS = 50
BUDGET = 24_000_000
"""Characters of all prompts that are kept, whatever clients send: 12,000 each, some 3,000 tokens, of 40 prompts in 50
groups."""
SMALLEST_OF_CLAUDE = (
    (("opus-4-5", "opus-4-6", "haiku-4-5"), 4096),
    (("sonnet-4-6", "3-5-haiku", "3-haiku"), 2048),
    (("sonnet-4-5", "opus-4-1", "opus-4-2", "sonnet-4-2", "3-7-sonnet"), 1024),
)
"""Smallest cached prompts in tokens, by the beginning of the name after `claude-`; `opus-4-2` is Opus 4 with its date.
Anthropic's guide "Prompt caching" as quoted in its anthropic-sdk-python issue 1194 (2026-02) and by docs.orq.ai; they
differ in Sonnet 4.6 (1,024 and 2,048; the issue observed 2,048). Read 2026-11-26. Later models are not known."""
ALIKE_RATIO = 0.8
"""So many of the prompts must begin alike: a few odd ones do not hide what the others share."""

Group = tuple[str, ModelName, PromptName]


@dataclass(frozen=True, slots=True)
class Beginning:
    """In characters. `mean_characters` are of the texts of whole prompts; `text` is what they begin with.
    `data_characters` of JSON are sent with a prompt beside its texts: definitions of tools, arguments and results."""

    sampled: int
    characters: int
    mean_characters: float
    text: str = ""
    data_characters: float = 0.0

    @property
    def text_ratio(self) -> float:
        """Of what is sent, the share that is text."""
        whole = self.mean_characters + self.data_characters
        return self.mean_characters / whole if whole else 1.0


def group_of(call: CallFact) -> Group:
    return call.feature, call.model, call.prompt


def text_of(content: Mapping[str, Any]) -> str:
    """Instructions first, then what came in, in order, each with its role; whole."""
    system = [{"role": "system", "parts": content.get("system") or ()}]
    told = [*system, *(content.get("input") or ())]
    return "".join(f"\1{one.get('role') or ''}\2{_words(one.get('parts') or ())}" for one in told)


def _words(parts: Sequence[Mapping[str, Any]]) -> str:
    return "\n".join(str(part.get("text") or "") for part in parts if part.get("type") == "text")


def data_of(content: Mapping[str, Any]) -> int:
    """Characters of JSON beside the texts."""
    told = (part for one in content.get("input") or () for part in one.get("parts") or ())
    parts = [part for part in told if part.get("type") not in ("text", "media", "reasoning")]
    return sum(len(orjson.dumps(one)) for one in (content.get("tools"), *parts) if one)


def beginning(texts: Sequence[str]) -> Beginning | None:
    """None for fewer than FEWEST_TEXTS. By halving: what begins alike up to a place does so before it, too."""
    if len(texts) < FEWEST_TEXTS:
        return None
    least = ALIKE_RATIO * len(texts)
    low, high, shared = 0, max(map(len, texts)), ""
    while low < high:
        middle = (low + high + 1) // 2
        alike = Counter(text[:middle] for text in texts if len(text) >= middle).most_common(1)
        if alike and alike[0][1] >= least:
            low, shared = middle, alike[0][0]
        else:
            high = middle - 1
    return Beginning(len(texts), low, sum(map(len, texts)) / len(texts), shared)


class Samples:
    """The first prompts of each group that `find` would look at, within a budget that no client can widen."""

    def __init__(self, calls: Iterable[CallFact]) -> None:
        """Of all calls: their groups are counted before a text is kept."""
        self._longest = LONGEST
        found = [(group, some) for group, some in _grouped(calls).items() if len(some) >= FEWEST_CALLS]
        found.sort(key=lambda one: sum(call.input_tokens or 0 for call in one[1]), reverse=True)
        self._texts: dict[Group, list[str]] = {group: [] for group, _some in found[:MOST_GROUPS]}
        self._characters = dict.fromkeys(self._texts, 0)
        self._data = dict.fromkeys(self._texts, 0)
        if self._texts:
            self._longest = min(LONGEST, BUDGET // (MOST_TEXTS * len(self._texts)))

    @property
    def kept_characters(self) -> int:
        return sum(len(text) for some in self._texts.values() for text in some)

    def add(self, call: CallFact, content: Mapping[str, Any]) -> None:
        group = group_of(call)
        some = self._texts.get(group)
        if some is None or len(some) >= MOST_TEXTS or not content.get("input"):
            return
        text = text_of(content)
        some.append(text[: self._longest])
        self._characters[group] += len(text)
        self._data[group] += data_of(content)

    def beginnings(self) -> dict[Group, Beginning]:
        """Of a prompt that was too long to be kept whole, the length still counts."""
        found = {}
        for group, some in self._texts.items():
            shared = beginning(some)
            if shared is not None:
                means = (self._characters[group] / len(some), self._data[group] / len(some))
                found[group] = replace(shared, mean_characters=means[0], data_characters=means[1])
        return found


def _grouped(calls: Iterable[CallFact]) -> dict[Group, list[CallFact]]:
    groups: dict[Group, list[CallFact]] = defaultdict(list)
    for call in calls:
        if not call.is_failed and call.input_tokens:
            groups[group_of(call)].append(call)
    return groups


def find(
    calls: Iterable[CallFact], beginnings: Mapping[Group, Beginning], tariffs: Mapping[ModelName, Tariff | None]
) -> list[Finding]:
    """One for each feature, model and prompt whose shared beginning is long enough to be cached and is not yet."""
    found = []
    for group, some in _grouped(calls).items():
        shared, tariff = beginnings.get(group), tariffs.get(group[1])
        if len(some) >= FEWEST_CALLS and shared is not None and tariff is not None:
            some.sort(key=lambda call: call.start_time)
            found.append(_finding(group, some, shared, tariff))
    return [finding for finding in found if finding is not None]


def _finding(group: Group, calls: Sequence[CallFact], shared: Beginning, tariff: Tariff) -> Finding | None:
    feature, model, prompt = group
    tokens, least = prefix_tokens(calls, shared), smallest_cached_tokens(model)
    if tokens < (least or SMALLEST_CACHED_PROMPT_TOKENS) or tariff.cached_usd >= tariff.input_usd:
        return None
    warm = warm_calls(calls)
    used = sum(min(call.cached_input_tokens or 0, tokens) for call in calls)
    more = max(0, warm * tokens - used)
    written_usd = (len(calls) - warm) * tokens * max(ZERO, tariff.write_usd - tariff.input_usd)
    usd = more * (tariff.input_usd - tariff.cached_usd) - written_usd
    if usd <= 0:
        return None
    return Finding(
        kind="prompt_cache", feature=feature, subject=f"{prompt}, {model.name}", usd=usd,
        spend_usd=sum((call.usd or ZERO for call in calls), ZERO), seconds=None, calls=len(calls),
        confidence="medium" if least is not None else "low",
        assumptions=(
            (f"Calls within {CACHE_LIFETIME_S:.0f} s of the one before find the beginning in the provider's cache;"
             " the others write it."),
            *_minimum(model),
            "Its length in tokens is its share of the characters; what varies must come after it.",
            "Tokens that clients do not report as cached count as not cached.",
        ),
        figures=(
            ("Tokens that prompts begin with", f"{tokens:,}, by {shared.sampled} prompts"),
            ("Share of a prompt", f"{min(1.0, shared.characters / max(1.0, shared.mean_characters)):.0%}"),
            ("Calls soon after another", f"{warm:,} of {len(calls):,}"),
            ("Tokens read from the cache already", f"{used:,}"),
            ("More that could be", f"{more:,}"),
        ),
        where={
            "feature": feature or "(none)", "model": model.name, "prompt": prompt.name or "(none)",
            "prompt_version": prompt.version or "(none)",
        },
        effect=Prefix(model, prompt, tokens),
    )  # fmt: skip


def smallest_cached_tokens(model: ModelName) -> int | None:
    """The shortest prompt that the provider caches; None where not known. Google's guide "Context caching" tells 2,048
    and 4,096 by model (ai.google.dev/gemini-api/docs/caching, stored copies of 2026)."""
    if model.provider == "openai":
        return SMALLEST_CACHED_PROMPT_TOKENS
    if model.provider != "anthropic":
        return None
    name = model.name.removeprefix("claude-")
    return next((tokens for names, tokens in SMALLEST_OF_CLAUDE if name.startswith(names)), None)


def _minimum(model: ModelName) -> tuple[str, ...]:
    """What is assumed of the smallest prompt that is cached."""
    least = smallest_cached_tokens(model)
    if least is not None:
        asked = " Calls must ask for caching." if model.provider == "anthropic" else ""
        return (f"Beginnings from {least:,} tokens on are cached.{asked}",)
    return (
        (f"The smallest beginning that this model's provider caches is taken to be {SMALLEST_CACHED_PROMPT_TOKENS:,}"
         " tokens, which is not known here: some models of Anthropic and Google need 2,048 or 4,096. Check it, and"
         " whether calls must ask for caching."),
    )  # fmt: skip


def prefix_tokens(calls: Sequence[CallFact], shared: Beginning) -> int:
    mean = sum(call.input_tokens or 0 for call in calls) / len(calls)
    return int(mean * min(1.0, shared.characters / max(1.0, shared.mean_characters)))


def warm_calls(calls: Sequence[CallFact]) -> int:
    """Of calls in order of time."""
    gaps = ((late.start_time - early.start_time).total_seconds() for early, late in itertools.pairwise(calls))
    return sum(gap <= CACHE_LIFETIME_S for gap in gaps)
