"""The demo's live traffic of some minutes, played at once by its own player through the real clients and the SDK.

As a process (`python -m kit.demo_tape`) it plays; `record` starts that process, takes what it sends, and cuts it into
the requests that a server would have got in that time.
"""

from __future__ import annotations

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

import stanchion_sdk as stanchion
from kit.sdk_sink import Sink
from stanchion_demo import catalogue, storyline
from stanchion_demo.applications import Applications
from stanchion_demo.clock import PastClock
from stanchion_demo.guards import ERAS, Guards
from stanchion_demo.player import Stage, play
from stanchion_demo.provider import Provider
from stanchion_demo.steps import App, Conversation, Kind
from stanchion_demo.storyline import Story
from stanchion_sdk.guarding.guards import AppGuard

ROOT = Path(__file__).resolve().parents[2]
SOURCES = os.pathsep.join(
    str(ROOT / name) for name in ("platform/src", "collectors/src", "guardrails/src", "gpu_agent/src", "tests")
)
PLAYED_WITHIN_S = 300
SENT_EVERY = timedelta(seconds=2)
"""A span leaves the application at most so long after its end; the SDK's own interval is shorter."""


@dataclass(frozen=True)
class Part:
    """Of a story, in minutes from its anchor."""

    first: int
    last: int

    def begin(self, story: Story) -> datetime:
        return story.anchor + timedelta(minutes=self.first)

    def end(self, story: Story) -> datetime:
        return story.anchor + timedelta(minutes=self.last)


@dataclass(frozen=True)
class Sent:
    """One request and the moment at which it left the application."""

    at: datetime
    body: bytes


def record(story: Story, part: Part, app: App | None = None, every: timedelta = SENT_EVERY) -> list[Sent]:
    """The requests of that part, in order of time, one for each interval with something in it; of one application only
    where it is named."""
    with Sink() as sink, tempfile.TemporaryDirectory(prefix="stanchion-tape-") as folder:
        command = [
            sys.executable, "-P", "-m", "kit.demo_tape", sink.url, folder, story.anchor.isoformat(), str(story.seed),
            str(part.first), str(part.last), app.feature if app else "",
        ]  # fmt: skip
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": SOURCES}
        done = subprocess.run(
            command,
            env=env,
            capture_output=True,
            text=True,
            check=False,
            timeout=PLAYED_WITHIN_S,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, done.stderr
        return list(_cut(sink.bodies, every))


def _cut(bodies: list[bytes], every: timedelta) -> Iterator[Sent]:
    """Spans by the interval in which they ended."""
    every_ns = every // timedelta(microseconds=1) * 1000
    pieces = sorted(
        ((span.end_time_unix_nano // every_ns, number), of_resource, of_scope, span)
        for number, (of_resource, of_scope, span) in enumerate(_spans(bodies))
    )
    for tick, members in itertools.groupby(pieces, key=lambda piece: piece[0][0]):
        request = ExportTraceServiceRequest()
        for _order, of_resource, of_scope, span in members:
            resource = request.resource_spans.add(resource=of_resource.resource)
            resource.scope_spans.add(scope=of_scope.scope).spans.append(span)
        at = datetime.fromtimestamp((tick + 1) * every_ns / 1e9, UTC)
        yield Sent(at, request.SerializeToString())


def _spans(bodies: list[bytes]) -> Iterator[tuple[ResourceSpans, ScopeSpans, Span]]:
    for body in bodies:
        for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for of_scope in of_resource.scope_spans:
                for span in of_scope.spans:
                    yield of_resource, of_scope, span


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("url", "folder", "anchor", "seed", "first", "last", "feature"):
        parser.add_argument(name)
    given = parser.parse_args()
    story = Story(datetime.fromisoformat(given.anchor), int(given.seed))
    part = Part(int(given.first), int(given.last))
    wanted = [each for each in _conversations(story, part) if given.feature in ("", each.app.feature)]
    _play(given.url, Path(given.folder), story, wanted)


def _conversations(story: Story, part: Part) -> Iterator[Conversation]:
    told = itertools.chain(storyline.history(story) if part.first < 0 else (), storyline.live(story, story.anchor))
    until = itertools.takewhile(lambda each: each.at < part.end(story), told)
    return (each for each in until if each.at >= part.begin(story))


def _play(url: str, folder: Path, story: Story, wanted: list[Conversation]) -> None:
    guards = Guards(story)

    def guard(conversation: Conversation) -> AppGuard | None:
        """Live, the demo pulls from its server what is in force there: what the last era ended with."""
        if conversation.at < story.anchor:
            return guards.of(conversation)
        is_guarded = conversation.app is catalogue.SUPPORT and Kind.GUARD_OUTAGE not in conversation.planted
        return guards.then(ERAS[-1]) if is_guarded else None

    with Provider() as provider:
        applications = Applications(url, "kit", folder / "spool")
        stage = Stage(provider, applications.tracers, applications.ids, str(story.seed), lambda _rated: None, guard)
        for conversation in wanted:
            play(conversation, PastClock(conversation.at), stage)
        assert applications.flush(), "the sink did not take everything"
    stanchion.shutdown()


if __name__ == "__main__":
    main()
