"""The anthropic client, whose own spans stand beside those of every other instrumentation: one charge for each call."""

from __future__ import annotations

import pytest

from kit.contract import ANTHROPIC_COST, Door, Known, Run, check_anthropic, check_texts
from stanchion_server.ingest.records import Charge

pytestmark = [pytest.mark.clients, pytest.mark.slow, pytest.mark.django_db(transaction=True)]


def duplicates(run: Run) -> int:
    return sum(record.charge == Charge.DUPLICATE for record in run.records)


def test_its_native_spans_alone(live_door: Door) -> None:
    run = live_door.run("many", "anthropic_app.py")

    check_anthropic(run, known=Known(tool_calls=()))
    assert duplicates(run) == 0


def test_native_spans_under_openinference_are_charged_once(live_door: Door) -> None:
    run = live_door.run("many", "anthropic_app.py", "openinference")

    check_anthropic(run)
    assert duplicates(run) == 4


def test_native_spans_under_openinference_are_charged_once_when_every_span_comes_in_its_own_request(
    live_door: Door,
) -> None:
    run = live_door.run("many", "anthropic_app.py", "openinference", "one_by_one")

    check_anthropic(run)
    assert duplicates(run) == 4


def test_native_and_openllmetry_spans_in_traces_of_their_own_are_charged_once(live_door: Door) -> None:
    run = live_door.run("many", "anthropic_app.py", "openllmetry")

    check_anthropic(run)
    assert duplicates(run) == 4
    assert len({record.trace_id for record in run.records}) == 8


def test_native_and_openllmetry_spans_as_siblings_are_charged_once(live_door: Door) -> None:
    run = live_door.run("many", "anthropic_app.py", "openllmetry", "workflow", "one_by_one")

    check_anthropic(run)
    assert duplicates(run) == 4
    assert len({record.trace_id for record in run.records}) == 1


def test_three_instrumentations_at_once_are_charged_once(live_door: Door) -> None:
    run = live_door.run("many", "anthropic_app.py", "openllmetry", "openinference", "plain", "stream")

    check_anthropic(run, ("plain", "stream"))
    assert duplicates(run) == 4
    assert sum(call.cost_usd or 0 for call in run.charged) == 2 * ANTHROPIC_COST


def test_the_traceloop_sdk_in_a_workflow_is_charged_once(live_door: Door) -> None:
    run = live_door.run("many", "traceloop_app.py", "anthropic")

    check_anthropic(run)
    assert duplicates(run) == 4


def test_the_messages_are_those_of_the_call_whoever_told_them(live_door: Door) -> None:
    run = live_door.run("many", "anthropic_app.py", "openinference", "plain", "tools")

    richest = Run(run.project_id, run.served, run.response_ids, [r for r in run.records if r.input_preview])
    check_texts(richest, ("plain", "tools"))
