"""The demo as a process: tells the history once, then goes on living until it is stopped.

`python -m stanchion_demo --folder .data` reads the address and the key from `.data/demo.json`, which
`bootstrap --demo-file` writes.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import stanchion_sdk as stanchion
from stanchion_demo import notebook, storyline
from stanchion_demo.applications import Applications, CannotStart
from stanchion_demo.clock import LiveClock, PastClock, Stopping
from stanchion_demo.player import Rated, Stage, play
from stanchion_demo.provider import Provider
from stanchion_demo.steps import Conversation

FLUSH_EVERY = 150
"""Conversations of the history between two waits for the server, so that neither memory nor the spool fills."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="stanchion_demo", description="A shop's traffic for a server on this machine."
    )
    parser.add_argument("--folder", type=Path, required=True, help="the server's data folder")
    parser.add_argument("--seed", type=int, default=7, help="another seed tells another fortnight")
    parser.add_argument("--scale", type=float, default=1.0, help="0.1 is a tenth of the conversations")
    parser.add_argument("--history-only", action="store_true", help="end after the history")
    options = parser.parse_args(arguments)
    try:
        run(options.folder, options.seed, options.scale, is_live=not options.history_only)
    except CannotStart as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def run(folder: Path, seed: int, scale: float, *, is_live: bool) -> None:
    """Until SIGTERM or SIGINT; without `is_live` until the history is told."""
    url, api_key = credentials(folder / "demo.json")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    notes_path = folder / "demo-story.json"
    notes = notebook.open_or_begin(notes_path, datetime.now(UTC), seed, scale)
    with Provider() as provider, suppress(Stopping):
        applications = Applications(url, api_key, folder / "demo-spool")
        if not notes.is_history_told:
            tell_history(notes.story, provider, applications, stop)
            notebook.history_told(notes_path, notes)
        if is_live:
            go_on(notes.story, provider, applications, stop)
    stanchion.shutdown()


def credentials(path: Path) -> tuple[str, str]:
    """The server's address and a key of the demo's project. Raises CannotStart."""
    try:
        found = json.loads(path.read_text())
        return found["url"], found["api_key"]
    except (OSError, ValueError, KeyError) as error:
        raise CannotStart(
            f"{path} does not name a server and a key ({error}). Start it with script/server --demo."
        ) from None


def tell_history(story: storyline.Story, provider: Provider, applications: Applications, stop: threading.Event) -> None:
    """Newest day first, so that the overview fills at once. Raises Stopping when asked to end on the way."""
    began_s, calls, conversations = time.monotonic(), 0, 0
    is_newest_day = True
    ratings: list[Rated] = []
    stage = Stage(provider, applications.tracers, applications.ids, _seed(story), ratings.append)
    for conversation in storyline.history(story, newest_day_first=True):
        if stop.is_set():
            raise Stopping
        if is_newest_day and conversation.at < story.anchor - timedelta(days=1):
            is_newest_day = False
            applications.flush()
            print(
                f"the last 24 hours are stored after {time.monotonic() - began_s:.0f} s; older days follow", flush=True
            )
        play(conversation, PastClock(conversation.at), stage)
        calls, conversations = calls + conversation.calls, conversations + 1
        if conversations % FLUSH_EVERY == 0:
            applications.flush()
    applications.flush()
    for rated in ratings:
        applications.rate_then(rated)
    applications.flush()
    took_s = time.monotonic() - began_s
    days = storyline.HISTORY_DAYS
    print(f"told {days} days: {calls} calls in {conversations} conversations, {took_s:.0f} s", flush=True)


def go_on(story: storyline.Story, provider: Provider, applications: Applications, stop: threading.Event) -> None:
    """New conversations at their time, several at once, until `stop`; what was to come while it was off is left out."""
    clock = LiveClock(stop)
    stage = Stage(provider, applications.tracers, applications.ids, _seed(story), applications.rate_now)
    print("live: a new conversation about every minute", flush=True)
    for conversation in storyline.live(story, datetime.now(UTC)):
        if stop.wait(max(0.0, (conversation.at - datetime.now(UTC)).total_seconds())):
            break
        # Daemons: one that waits for its provider must not hold up the end. The story bounds how many there are.
        threading.Thread(target=_play_quietly, args=(conversation, clock, stage), daemon=True).start()


def _play_quietly(conversation: Conversation, clock: LiveClock, stage: Stage) -> None:
    with suppress(Stopping):
        play(conversation, clock, stage)


def _seed(story: storyline.Story) -> str:
    return f"{story.seed}/{story.anchor.isoformat()}"


if __name__ == "__main__":
    sys.exit(main())
