"""What the advisor last found, with what people have said since of the answers that a cache would have served."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from stanchion_server.costs import verdicts
from stanchion_server.costs.advice.caches import KINDS, NOT_JUDGED
from stanchion_server.costs.caching import sweep
from stanchion_server.costs.models import PairVerdict
from stanchion_server.reports import wrong_hits
from stanchion_server.reports.wrong_hits import Judged, WrongHits

DAYS_OF_A_MONTH = 30
NO_FEATURE = "(none)"
LIKENESS = ("semantic_cache", "approved")
"""Kinds of findings that serve an answer to a question with other words."""
Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Setting:
    """A row of the sweep as the report keeps it. `wrong` is None where nothing with other words was served, and for
    settings whose hits are not judged. `right_usd` is the net amount without what wrong answers saved, `surely_usd`
    at the upper end of their interval; None without a verdict."""

    row: Body
    wrong: WrongHits | None
    right_usd: Decimal | None
    surely_usd: Decimal | None
    is_proposed: bool = False

    @property
    def is_judged(self) -> bool:
        return self.wrong is not None and self.wrong.ratio is not None


@dataclass(frozen=True, slots=True)
class Pair:
    row: Body
    verdict: PairVerdict | None


@dataclass(frozen=True, slots=True)
class Cache:
    """Of one feature or of all; `pairs` in the order in which they are best judged: every band of similarity soon.
    `unjudged` are features that answers with other words would have gone to, of which no pair was judged."""

    embedder: str
    weakness: str
    questions: int
    settings: Sequence[Setting]
    pairs: Sequence[Pair]
    unjudged: Sequence[str] = ()

    @property
    def is_withdrawn(self) -> bool:
        """People found too many wrong answers, and no threshold where they are few enough."""
        default = self.settings[sweep.SETTINGS.index(sweep.DEFAULT)].wrong
        return default is not None and default.is_intolerable and not any(one.is_proposed for one in self.settings)


@dataclass(frozen=True, slots=True)
class Told:
    """`cache` is None where no question is recorded; `features` are those something is told of."""

    findings: Sequence[Body]
    cache: Cache | None
    features: Sequence[str]
    templates: Sequence[Body]


def told(project_id: int, body: Body, feature: str | None = None) -> Told:
    """Of all features, or of one. `body` is that of a report, empty before the first look."""
    found, kept = list(body.get("findings") or []), body.get("cache") or {}
    parts = {part["feature"]: part for part in kept.get("features") or []}
    own = [one for one in found if one["kind"] not in KINDS and not _is_shared(one)]
    costs = {one["feature"] for one in body.get("feature_costs") or []}
    features = sorted({one["feature"] for one in own} | set(parts) | costs)
    if feature is not None:
        found = [one for one in own if one["feature"] == feature]
        found += [_part(one, share) for one in body.get("findings") or [] for share in _shares_of(one, feature)]
        found += parts.get(feature, {}).get("findings", [])
    prompts = [one for one in body.get("templates") or [] if feature in (None, one["feature"])]
    cache = _cache(project_id, kept, parts, feature)
    days = body.get("days") or 1.0
    findings = [judged for one in found if (judged := _judged(one, cache, days)) is not None]
    return Told(sorted(findings, key=lambda one: -Decimal(one["usd_per_month"])), cache, features, prompts)


def _is_shared(finding: Body) -> bool:
    """About own cards, which several features use."""
    return bool(finding.get("page") == "hosting")


def _shares_of(finding: Body, feature: str) -> list[Body]:
    return [one for one in finding.get("shares", []) if _is_shared(finding) and one["feature"] == feature]


def _part(finding: Body, share: Body) -> Body:
    """What of the finding is about one feature."""
    whole, month = Decimal(finding["usd_per_month"]), Decimal(share["usd_per_month"])
    ratio = month / whole if whole else Decimal(0)
    amounts = {name: str(Decimal(finding[name]) * ratio) for name in ("usd", "spend_usd")}
    return {
        **finding, **amounts, "usd_per_month": str(month), "of_usd_per_month": str(whole), "shares": [share],
    }  # fmt: skip


def _cache(project_id: int, kept: Body, parts: Mapping[str, Body], feature: str | None) -> Cache | None:
    part = kept if feature is None else parts.get(feature, {})
    if not part:
        return None
    drawn = [one for one in kept["pairs"] if "id" in one and feature in (None, one["feature"])]
    given = verdicts.given(project_id, [one["id"] for one in drawn])
    pairs = [Pair(one, given.get(one["id"])) for one in sorted(drawn, key=lambda one: (one["order"], -one["band"]))]
    of_features = list(parts.values()) if feature is None else []
    settings = _proposed(
        [
            _setting(place, row, pairs, _strata(row, [one["settings"][place] for one in of_features], of_features))
            for place, row in enumerate(part["settings"])
        ]
    )
    return Cache(
        kept["embedder"], kept["weakness"], part["questions"], settings, pairs, _unjudged(of_features, pairs)
    )  # fmt: skip


def _unjudged(parts: Sequence[Body], pairs: Iterable[Pair]) -> list[str]:
    judged = {pair.row["feature"] for pair in pairs if pair.verdict is not None}
    default = sweep.SETTINGS.index(sweep.DEFAULT)
    return [
        part["feature"]
        for part in parts
        if judged and part["feature"] not in judged and sum(part["settings"][default].get("like_hits") or ())
    ]


@dataclass(frozen=True, slots=True)
class _Strata:
    """Hits with other words by feature and, within it, by band of similarity: first of the features that are told by
    themselves, by their number, then of all others together."""

    numbers: Mapping[str, int]
    hits: Sequence[int]

    def place(self, pair: Body) -> int:
        place: int = self.numbers.get(pair["feature"], len(self.numbers)) * len(sweep.THRESHOLDS) + pair["band"]
        return place


def _strata(row: Body, rows: Sequence[Body], parts: Sequence[Body]) -> _Strata:
    """What people say of one feature's pairs is not taken for another's. Reports of an older release know no hits by
    band."""
    whole = row.get("like_hits") or []
    told = [one.get("like_hits") or [] for one in rows]
    if not whole or any(len(one) != len(whole) for one in told):
        return _Strata({}, whole)
    rest = [number - sum(some) for number, *some in zip(whole, *told, strict=True)]
    numbers = {part["feature"]: place for place, part in enumerate(parts)}
    return _Strata(numbers, [hits for some in (*told, rest) for hits in some])


def _setting(place: int, row: Body, pairs: Iterable[Pair], strata: _Strata) -> Setting:
    said = _said(sweep.JUDGED.index(place), pairs, strata) if strata.hits else []
    wrong = wrong_hits.estimate(strata.hits, said) if strata.hits else None
    if wrong is None or wrong.ratio is None:
        return Setting(row, wrong, None, None)
    net, like = Decimal(row["net_usd"]), Decimal(row["like_usd"])
    return Setting(row, wrong, net - like * Decimal(repr(wrong.ratio)), net - like * Decimal(repr(wrong.high)))


def _said(cache: int, pairs: Iterable[Pair], strata: _Strata) -> list[Judged]:
    return [
        Judged(strata.place(pair.row), pair.row["chance"], pair.row["hits"][cache], pair.verdict.says)
        for pair in pairs
        if pair.verdict is not None
    ]


def _proposed(settings: Sequence[Setting]) -> list[Setting]:
    """Of the thresholds with few enough wrong answers, the one that surely saves most; none where that is no more than
    keeping answers for equal questions saves, which has no wrong ones."""
    able = [one for one in settings if one.wrong is not None and one.is_judged and one.wrong.is_tolerable]
    least = max(Decimal(0), Decimal(settings[sweep.SETTINGS.index(sweep.EXACT)].row["net_usd"]))
    best = max(able, key=_surely, default=None)
    if best is not None and _surely(best) <= least:
        best = None
    return [
        Setting(one.row, one.wrong, one.right_usd, one.surely_usd, is_proposed=True) if one is best else one
        for one in settings
    ]


def _surely(one: Setting) -> Decimal:
    return Decimal(0) if one.surely_usd is None else one.surely_usd


def _judged(finding: Body, cache: Cache | None, days: float) -> Body | None:
    """The finding on a cache by likeness as verdicts leave it: at the proposed threshold, else at the default one. None
    once it saves no more than keeping answers for equal questions. What rests on likeness is withdrawn with it."""
    if cache is None or finding["kind"] not in LIKENESS:
        return finding
    if cache.is_withdrawn:
        return None
    if finding["kind"] != "semantic_cache":
        return finding
    default, exact = (cache.settings[sweep.SETTINGS.index(setting)] for setting in (sweep.DEFAULT, sweep.EXACT))
    one = next((setting for setting in cache.settings if setting.is_proposed), default)
    if one.wrong is None or one.right_usd is None:
        return finding
    if one.right_usd <= max(Decimal(0), Decimal(exact.row["net_usd"])):
        return None
    return {**finding, **_amounts(finding, one, days), **_words(finding, one, one.wrong)}


def _amounts(finding: Body, one: Setting, days: float) -> dict[str, Any]:
    """Reports of an older release know no ratio of their own, as all their findings had the same."""
    usd = one.right_usd or Decimal(0)
    month = usd * Decimal(finding.get("month_ratio") or repr(DAYS_OF_A_MONTH / days))
    return {
        "usd": str(usd), "usd_per_month": str(round(month, 6)), "seconds": one.row["net_s"], "calls": one.row["hits"],
        "confidence": "medium" if one.is_proposed else "low",
    }  # fmt: skip


def _words(finding: Body, one: Setting, wrong: WrongHits) -> dict[str, Any]:
    """The sentence on unknown wrong answers makes way for what people found."""
    row, threshold = one.row, f"{one.row['threshold']:.2f}"
    interval = f"{wrong.low:.1%} to {wrong.high:.1%}"
    said = f"People judged {wrong.pairs:,} pairs: of the answers with other words {wrong.ratio:.1%} would be wrong"
    rest = [text for text in finding["assumptions"] if text != NOT_JUDGED]
    return {
        "subject": f"cosine {threshold}",
        "assumptions": [f"{said} (95 %: {interval}). What these saved is taken off; what they do is not.", *rest],
        "figures": [
            ["Would have been served", f"{row['hits']:,}, {row['equal_hits']:,} of them with the very same words"],
            ["Wrong among those with other words", f"{wrong.ratio:.1%}, by {wrong.pairs:,} pairs: {interval}"],
            ["Saved for sure (95 %)", f"${one.surely_usd:.4f} in the time looked at"],
        ],
    }  # fmt: skip
