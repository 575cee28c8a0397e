"""Measures tokens per second of an OpenAI-compatible endpoint."""

from __future__ import annotations

import dataclasses
import json
import os
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from stanchion_server.commands.speed import running
from stanchion_server.commands.speed.running import Measured, Plan
from stanchion_server.commands.speed.stream import Target
from stanchion_server.costs.calculators import speed

MOST = {"cases": 100, "repeats": 1_000, "concurrency": 256, "max_tokens": 100_000}


class Command(BaseCommand):
    help = (
        "Ask an OpenAI-compatible endpoint for texts of growing length and say how fast it answered. It sends real"
        " requests, which a provider charges for."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--url", required=True, help="base address, such as http://127.0.0.1:8089/v1")
        parser.add_argument("--model", required=True)
        parser.add_argument("--key-env", default="", help="name of the environment variable that holds the API key")
        parser.add_argument("--cases", type=int, default=4, help="lengths from 1 to this many passages")
        parser.add_argument("--repeats", type=int, default=5, help="requests per length; below 5 says little")
        parser.add_argument("--concurrency", type=int, default=1, help="requests at a time")
        parser.add_argument("--max-tokens", type=int, default=1_024, help="tokens of an answer at most")
        parser.add_argument("--timeout-s", type=float, default=120.0, help="longest wait for the next piece")
        parser.add_argument("--json", action="store_true", help="one JSON object per run instead of tables")

    def handle(self, *args: Any, **options: Any) -> None:
        _check(options)
        target = Target(
            options["url"], options["model"], _key(options["key_env"]), options["max_tokens"], options["timeout_s"]
        )
        plan = Plan(options["cases"], options["repeats"], options["concurrency"])
        measured = []
        if not options["json"]:
            self.stdout.write(HEAD)
        for one in running.measure(target, plan):
            measured.append(one)
            self._write(_runs(one) if options["json"] else _row(one))
        if not any(one.case.runs for one in measured):
            raise CommandError(f"No request was answered. {'; '.join(measured[0].reasons)}")
        if not options["json"]:
            self._write(_summary(measured))

    def _write(self, lines: Iterator[str]) -> None:
        for line in lines:
            self.stdout.write(line)


HEAD = "length  answered  tokens/s best  worst   mean   together  first token p50 / p95 s"


def _check(options: dict[str, Any]) -> None:
    for name, most in MOST.items():
        if not 1 <= options[name] <= most:
            raise CommandError(f"--{name.replace('_', '-')} {options[name]} must be from 1 to {most}.")
    if not 0 < options["timeout_s"] <= 3_600:
        raise CommandError(f"--timeout-s {options['timeout_s']} must be more than 0 and at most 3600.")


def _key(name: str) -> str:
    """Keys come from the environment: what stands on a command line is seen by everyone on the machine."""
    if not name:
        return ""
    found = os.environ.get(name, "")
    if not found:
        raise CommandError(f"--key-env {name}: there is no such environment variable, or it is empty.")
    return found


def _row(one: Measured) -> Iterator[str]:
    case = one.case
    first = [run.first_token_s for run in case.runs]
    yield (
        f"{case.length:6}  {len(case.runs):3}/{len(case.runs) + case.failed:<4}  {_speed(case.best):>13}"
        f"  {_speed(case.worst):>5}  {_speed(case.mean):>5}  {_speed(case.together_tokens_per_s):>9}"
        f"  {_seconds(speed.percentile(first, 50))} / {_seconds(speed.percentile(first, 95))}"
    )
    yield from (f"        failed: {reason}" for reason in one.reasons)


def _summary(measured: Sequence[Measured]) -> Iterator[str]:
    cases = [one.case for one in measured if one.case.runs]
    runs = [run for case in cases for run in case.runs]
    found = speed.spread([(case.best or 0.0, case.worst or 0.0) for case in cases])
    yield ""
    yield f"best, mean of the lengths: {_speed(found.mean_best)} tokens/s; worst: {_speed(found.mean_worst)}"
    yield f"the worst lie between {_speed(found.lowest)} and {_speed(found.highest_worst)} tokens/s"
    after_first = [run.decode_tokens_per_s for run in runs if run.decode_tokens_per_s is not None]
    for title, values, ranks in (
        ("tokens/s", [run.tokens_per_s for run in runs], speed.LOWEST),
        ("tokens/s after the first", after_first, speed.LOWEST),
        ("first token, s", [run.first_token_s for run in runs], speed.SLOWEST),
        ("answer, s", [run.total_s for run in runs], speed.SLOWEST),
    ):
        shown = "  ".join(f"p{rank} {_seconds(speed.percentile(values, rank))}" for rank in ranks)
        yield f"{title:26}{shown}"
    if any(run.is_estimated for run in runs):
        yield "The endpoint told no usage: pieces of the stream were counted as tokens, which is an estimate."


def _runs(one: Measured) -> Iterator[str]:
    for run in one.case.runs:
        yield json.dumps({**dataclasses.asdict(run), "tokens_per_s": round(run.tokens_per_s, 3)})
    yield from (json.dumps({"length": one.case.length, "failed": reason}) for reason in one.reasons)


def _speed(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
