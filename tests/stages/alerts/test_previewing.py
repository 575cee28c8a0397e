"""A preview says what the watcher would have said: the same readings, the same episodes, and nothing written."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from kit import guarding
from kit.calls import NOON, call, trace
from kit.stored import deliver, settled
from stanchion_server.alerts import definitions, judging, moments, previewing, services, timing
from stanchion_server.alerts.definitions import Definition
from stanchion_server.alerts.measures import SOURCES
from stanchion_server.alerts.models import Evaluation, Incident, Rule, Standing
from stanchion_server.alerts.records import Labels, Part, Window
from stanchion_server.alerts.sliding import Slide
from stanchion_server.alerts.sources import READERS, RECORDED, answers
from stanchion_server.feedback.models import Rating
from stanchion_server.ingest.models import IngestBatch
from stanchion_server.ingest.records import Status
from stanchion_server.kernel import db
from stanchion_server.kernel.errors import SenderError
from stanchion_server.tenants import services as tenants
from stanchion_server.tenants.models import Project
from stanchion_server.traces import partitions

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)
BEGIN, END = NOON + timedelta(minutes=60), NOON + timedelta(minutes=105)
REPLAYABLE = [
    (source, name) for source, kind in SOURCES.items() for name, measure in kind.measures.items() if measure.has_history
]


@pytest.fixture
def project() -> Project:
    return tenants.create_project(tenants.create_organisation("Acme"), "Shop")


def defined(**more: Any) -> Definition:
    definition, problems = definitions.parse(plain(**more))
    assert definition is not None, problems
    return definition


def plain(**more: Any) -> dict[str, Any]:
    given = {
        "name": "errors", "watch": {"source": "calls", "measure": "error_ratio", "window": "5m", "min_samples": 2},
        "when": {"above": 0.3}, "keep_firing": "2m",
    }  # fmt: skip
    return {**given, **more}


def traffic_of_two_hours(project: Project) -> None:
    """Two features; `refunds` fails in waves and is slow and dear in some of them, `search` falls silent at half
    past one, and the release changes at 13:10."""
    one = random.Random(11)
    made = []
    for second in range(0, 7_200, 12):
        minute = second // 60
        feature = one.choice(("refunds", "search"))
        if feature == "search" and minute > 90:
            continue
        is_wave = feature == "refunds" and (minute // 7) % 3 == 0
        made.append(
            call(
                trace_id=trace(50_000 + second), after_s=second + one.random(), feature=feature,
                status=Status.ERROR if one.random() < (0.7 if is_wave else 0.05) else Status.OK,
                duration_ns=int(one.lognormvariate(0, 1) * (9e9 if is_wave else 1e9)),
                input_tokens=None if one.random() < 0.1 else one.randint(10, 900) * (30 if is_wave else 1),
                model="gpt-4o-mini" if one.random() < 0.9 else "house-llm", provider="openai",
                time_to_first_token_ms=one.choice((None, 120.0, 2_500.0)), release="v1" if minute < 70 else "v2",
            )
        )  # fmt: skip
    deliver(project.pk, *made)
    settled(project.pk)


def three_weeks_before(project: Project) -> None:
    """Three calls a minute at the same hour."""
    deliver(project.pk, *(
        call(trace_id=trace(900_000 + week * 10_000 + second), after_s=second - week * 7 * 86_400)
        for week in (1, 2, 3)
        for second in range(2_400, 6_600, 20)
    ))  # fmt: skip
    settled(project.pk)


def scores_and_decisions(project: Project) -> None:
    one = random.Random(12)
    rows = []
    for minute in range(120):
        for feature in ("refunds", "search"):
            count, flagged = one.randint(1, 9), one.randint(0, 1) * (minute % 9 > 5)
            where = (project.pk, 1, NOON + minute * MINUTE, "groundedness", str(minute % 2), feature, *[""] * 6)
            rows.append((*where, count, flagged * count, one.random() * count, 0.0, 0, [0] * 20))
    columns = (
        "project_id, grain_minutes, bucket, scorer, scorer_version, feature, provider, model, environment, release,"
        " prompt_name, prompt_version, scores, flagged, score_sum, score_square_sum, cost_usd, histogram"
    )
    with db.raw_cursor() as cursor:
        cursor.executemany(f"INSERT INTO score_rollups ({columns}) VALUES ({', '.join(['%s'] * 18)})", rows)
    guarding.store_decisions(project.pk, *(
        guarding.decided(
            NOON + timedelta(seconds=47 * place), feature=one.choice(("refunds", "search")),
            action=one.choice(("allow", "block")), not_run=one.choice(({}, {"slow": "late"})),
        )
        for place in range(150)
    ))  # fmt: skip


def ratings_and_batches(project: Project) -> None:
    one = random.Random(13)
    Rating.objects.bulk_create(
        Rating(
            project=project, rating_id=f"r{place}", name="helpful", tone=one.choice((None, -1, 1)), source="user",
            rated_at=NOON + timedelta(seconds=31 * place), received_at=NOON,
        )
        for place in range(200)
    )  # fmt: skip
    partitions.ensure([NOON.date()])
    rejected = [one.randint(0, 5) for _ in range(120)]
    IngestBatch.objects.bulk_create(
        IngestBatch(
            id=place, received_at=NOON + timedelta(seconds=53 * place), project_id=project.pk, api_key_id=1,
            signal=one.choice(("traces", "metrics")), client="kit", state=one.choice(("stored", "refused")), sent=10,
            stored=10 - count, duplicate=0, rejected=count, altered=0, body_bytes=1, detail="",
        )
        for place, count in enumerate(rejected)
    )  # fmt: skip


@pytest.mark.slow
def test_every_recorded_measure_reads_the_same_slid_as_asked(project: Project) -> None:
    traffic_of_two_hours(project)
    scores_and_decisions(project)
    ratings_and_batches(project)
    for source, measure in REPLAYABLE:
        kind = SOURCES[source]
        params = dict.fromkeys(kind.measures[measure].params, 2_000)
        if "scorer" in params:
            params["scorer"] = "groundedness"  # type: ignore[assignment]
        for by in ([], [kind.dimensions[0]]):
            watch = {"source": source, "measure": measure, "window": "7m", "by": by, "params": params}
            where = {kind.dimensions[0]: "refunds"} if not by and kind.dimensions[0] == "feature" else {}
            when = {"above": 0.5}
            compare(project, defined(watch={**watch, "where": where}, when=when))


def compare(project: Project, definition: Definition) -> None:
    slots = [BEGIN + place * 7 * MINUTE for place in range(9)]
    asks = [moments.asks_of(definition, slot)["now"] for slot in slots]
    whole = replace(asks[0], window=Window(asks[0].window.start, asks[-1].window.end))
    source = RECORDED[whole.source]
    parts = source.parts(project.pk, whole, 10_000)[::-1]
    assert parts, f"{whole.source} {whole.measure} has nothing to compare"
    slide = Slide(
        parts, len(source.columns(whole)), lambda values, counts: source.sample(whole, values, counts),
        is_whole=not whole.by,
    )  # fmt: skip
    told = answers(READERS, project.pk, asks, END)
    for ask in asks:
        slid = {
            labels: (sample.value and pytest.approx(sample.value, rel=1e-12), sample.samples, sample.bad)
            for labels, sample in slide.readings(ask.window).items()
        }
        live = told[ask]
        assert isinstance(live, dict), live
        assert {labels: (one.value, one.samples, one.bad) for labels, one in live.items()} == slid, ask


RULES: dict[str, dict[str, Any]] = {
    "errors by feature": plain(
        watch={"source": "calls", "measure": "error_ratio", "window": "5m", "by": ["feature"], "min_samples": 4}
    ) | {"for": "2m", "every": "30s"},
    "filtered": plain(
        watch={"source": "calls", "measure": "errors", "window": "4m", "where": {"feature": "refunds", "model":
               "gpt-4o-mini", "provider": "openai"}}, when={"above": 3, "recovers_at": 1}, every="2m"
    ),
    "slow, together": plain(
        watch={"source": "calls", "measure": "latency_p90_ms", "window": "6m", "by": ["feature", "release"]},
        when={"above": 8_000}, together=True, max_groups=2,
    ),
    "few": plain(watch={"source": "calls", "measure": "calls", "window": "3m", "by": ["feature"]}, when={"below": 5},
                 no_data="alert"),
    "dear": plain(watch={"source": "calls", "measure": "cost_usd", "window": "5m"}, keep_firing="1m",
                  when={"type": "surge", "times": 2, "least": 0.0001, "lookback": "1h"}),
    "silent": plain(watch={"source": "calls", "measure": "calls", "window": "5m", "by": ["feature"]},
                    when={"type": "absence", "seen_within": "30m"}),
    "burning": plain(when={"type": "burn_rate", "objective_ratio": 0.9, "min_bad": 2,
                           "tiers": [{"rate": 3, "window": "24m"}, {"rate": 2, "window": "48m"}]}),
    "unusual": plain(watch={"source": "calls", "measure": "calls", "window": "5m"}, keep_firing="0s",
                     when={"type": "baseline", "weeks": 3}),
    "released": plain(watch={"source": "calls", "measure": "error_ratio", "window": "10m", "by": ["feature"]},
                      when={"type": "release", "change_ratio": 0.1, "lookback": "1h"}),
}  # fmt: skip


@pytest.mark.slow
def test_a_preview_finds_exactly_the_episodes_that_the_watcher_opens_round_by_round(project: Project) -> None:
    three_weeks_before(project)
    traffic_of_two_hours(project)
    for name, rule in RULES.items():
        services.save(project, {**rule, "name": name.replace(",", "")}, "ann")
    for place in range((END - BEGIN) // timedelta(seconds=30) + 1):
        assert judging.tick(project.pk, READERS, BEGIN + place * timedelta(seconds=30)) is not None
    assert not Standing.objects.exclude(error="").exists()
    for name, rule in RULES.items():
        definition = defined(**{**rule, "name": "preview"})
        found = previewing.between(project, definition, BEGIN, END)
        assert found.replayed is not None, found.notes
        assert found.start == BEGIN
        told = [told_of(one) for one in found.replayed.episodes]
        opened = Incident.objects.filter(rule__name=name.replace(",", ""))
        assert told == sorted((live_of(one) for one in opened), key=lambda one: (one[0], one[2])), name
        assert told, f"{name} never fired, so that nothing was compared"


def told_of(one: previewing.Episode) -> tuple[Any, ...]:
    members = {tuple(labels) for labels in one.members}
    return one.start, one.end, labels_of(one.labels), one.worst, one.threshold, one.samples, one.is_no_data, members


def live_of(one: Incident) -> tuple[Any, ...]:
    where = set(dict(RULES["filtered"]["watch"]["where"])) if one.rule.name == "filtered" else set()
    labels = tuple((name, value) for name, value in one.labels.items() if name not in where)
    members = {tuple((name, value) for name, value in member["labels"]) for member in one.members}
    return (
        one.started_at, one.resolved_at, labels_of(labels), one.peak, one.facts["threshold"], one.samples,
        one.is_no_data, members,
    )  # fmt: skip


def labels_of(labels: Labels) -> Labels:
    return tuple(sorted(labels))


def test_a_preview_writes_nothing_and_reads_with_one_statement(
    project: Project, django_assert_num_queries: Any
) -> None:
    traffic_of_two_hours(project)
    definition = defined(when={"type": "surge", "times": 2, "least": 0.1, "lookback": "1h"}, watch={
        "source": "calls", "measure": "errors", "window": "5m", "by": ["feature"]})  # fmt: skip
    with django_assert_num_queries(4):  # a savepoint around the limit, the limit itself, and the statement
        previewing.preview(project, definition, 1, END)
    assert not (Rule.objects.exists() or Evaluation.objects.exists() or Incident.objects.exists())


def test_what_is_only_known_as_of_now_is_not_replayed_and_says_so(project: Project) -> None:
    for source, kind in SOURCES.items():
        for name, measure in kind.measures.items():
            if measure.has_history:
                continue
            found = previewing.preview(project, defined(watch={"source": source, "measure": name}), 14, END)
            assert found.replayed is None and "only known as of now" in found.notes[0]


def test_a_project_that_has_recorded_nothing_yet_has_fired_nowhere(project: Project) -> None:
    Project.objects.filter(pk=project.pk).update(created_at=END - timedelta(hours=1))
    project.refresh_from_db()
    found = previewing.preview(project, defined(no_data="alert"), 14, END)
    assert found.moments == 61 and found.replayed is not None
    assert [one.is_no_data for one in found.replayed.episodes] == [True]
    assert found.notes[0].startswith("Nothing is recorded before 2026-11-20 12:45 UTC")


@pytest.mark.parametrize("days", [0, 31, -1])
def test_a_preview_has_a_shortest_and_a_longest_time(project: Project, days: int) -> None:
    with pytest.raises(SenderError, match="1 to 30 days"):
        previewing.preview(project, defined(), days, END)


def test_too_much_for_the_whole_time_replays_the_newest_part_and_says_so(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    traffic_of_two_hours(project)
    definition = defined(watch={"source": "calls", "measure": "errors", "window": "5m", "by": ["feature"]})
    whole = previewing.between(project, definition, BEGIN, END)
    monkeypatch.setattr(previewing, "MOST_ROWS", 40)
    cut = previewing.between(project, definition, BEGIN, END)
    assert whole.moments == 46 and 10 < cut.moments < 40
    assert "the newest" in cut.notes[0] and cut.end == whole.end
    monkeypatch.setattr(previewing, "MOST_ROWS", 10_000)
    monkeypatch.setattr(previewing, "MOST_JUDGED", 20)
    assert previewing.between(project, definition, BEGIN, END).moments == 10
    monkeypatch.setattr(previewing, "MOST_ROWS", 4)
    assert previewing.between(project, definition, BEGIN, END).replayed is None


FILTERED: dict[str, dict[str, Any]] = {
    "guard": {"measure": "stopped_ratio", "where": {"feature": "refunds"}},
    "feedback": {"measure": "negative_ratio", "where": {"name": "helpful"}},
    "ingest": {"measure": "rejected", "where": {"signal": "traces"}},
    "scores": {"measure": "mean", "params": {"scorer": "groundedness"}, "where": {"feature": "refunds"}},
}


@pytest.mark.parametrize("source", FILTERED)
def test_only_what_a_filter_means_counts_for_what_is_too_much_and_a_cut_of_it_is_said(
    project: Project, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    scores_and_decisions(project)
    ratings_and_batches(project)
    ratings_of_another_name(project)
    definition = defined(watch={"source": source, "window": "5m", "min_samples": 0, **FILTERED[source]})
    whole = previewing.between(project, definition, BEGIN, END)
    meant = parts_between(project, definition)
    assert whole.moments == 46 and 20 < len(meant) < len(parts_between(project, unfiltered(definition)))
    monkeypatch.setattr(previewing, "MOST_ROWS", len(meant))
    assert previewing.between(project, definition, BEGIN, END) == whole
    monkeypatch.setattr(previewing, "MOST_ROWS", len(meant) - 10)
    cut = previewing.between(project, definition, BEGIN, END)
    assert 10 < cut.moments < 46 and cut.end == whole.end
    assert "the newest" in cut.notes[0]


def ratings_of_another_name(project: Project) -> None:
    Rating.objects.bulk_create(
        Rating(
            project=project, rating_id=f"other{place}", name="polite", tone=-1, source="user",
            rated_at=NOON + timedelta(seconds=37 * place), received_at=NOON,
        )
        for place in range(200)
    )  # fmt: skip


def unfiltered(definition: Definition) -> Definition:
    """Split by what it was filtered by."""
    watch = definition.watch
    return replace(definition, watch=replace(watch, by=tuple(name for name, _value in watch.where), where=()))


def parts_between(project: Project, definition: Definition) -> list[Part]:
    first, last = (moments.asks_of(definition, slot)["now"] for slot in (BEGIN, END))
    whole = replace(first, window=Window(first.window.start, last.window.end))
    return RECORDED[whole.source].parts(project.pk, whole, 10_000)


def test_moments_of_ten_seconds_share_their_readings(project: Project) -> None:
    traffic_of_two_hours(project)
    minute, fast = (previewing.between(project, defined(every=every), BEGIN, END) for every in ("1m", "10s"))
    assert minute.replayed is not None and fast.replayed is not None
    assert fast.moments == 271 and timing.floor(fast.replayed.episodes[0].start, MINUTE) <= (
        minute.replayed.episodes[0].start
    )


def test_days_of_a_rule_that_is_judged_more_often_are_replayed_by_the_minute(project: Project) -> None:
    traffic_of_two_hours(project)
    minute, fast = (previewing.preview(project, defined(every=every), 1, END) for every in ("1m", "15s"))
    assert fast == minute and minute.replayed is not None and minute.replayed.episodes


def test_readings_of_before_the_time_are_read_for_comparison(project: Project) -> None:
    """What a surge is compared with lies before the first moment."""
    traffic_of_two_hours(project)
    found = previewing.between(project, defined(**RULES["dear"]), END - 2 * MINUTE, END)
    assert found.moments == 3 and found.replayed is not None
    assert set(found.replayed.outcomes) <= {"good", "bad", "between"}
    assert isinstance(found.start, datetime)
