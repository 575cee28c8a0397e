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
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import stanchion_sdk as stanchion
from stanchion_demo import cards, catalogue, notebook, storyline
from stanchion_demo.applications import Applications, CannotStart
from stanchion_demo.clock import LiveClock, PastClock, Stopping
from stanchion_demo.guards import Guards
from stanchion_demo.machines import Machines
from stanchion_demo.office import Office
from stanchion_demo.player import Rated, Stage, play
from stanchion_demo.provider import Provider
from stanchion_demo.steps import Conversation, Kind

GUARDED = frozenset(
    {
        Kind.TOXIC_INPUT, Kind.TOXIC_OUTPUT, Kind.PII_INPUT, Kind.PII_OUTPUT, Kind.SECRET_INPUT, Kind.INJECTION_DIRECT,
        Kind.INJECTION_DOCUMENT,
    }
)  # fmt: skip
"""What a guard is there for."""
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
    url, api_key, admin_key = credentials(folder / "demo.json")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    notes_path = folder / "demo-story.json"
    notes = notebook.open_or_begin(notes_path, datetime.now(UTC), seed, scale)
    with Provider() as provider, suppress(Stopping):
        applications = Applications(url, api_key, folder / "demo-spool")
        office = Office(url, admin_key)
        guards = Guards(notes.story)
        office.publish_policy()
        office.price_deployment(cards.begins(notes.story))
        machines = Machines(url, api_key, notes.story, stop)
        if not notes.is_history_told:
            telling = ThreadPoolExecutor(1).submit(machines.tell_history)
            is_bad = tell_history(notes.story, provider, applications, guards, stop)
            print(f"the cards' history is {'' if telling.result() else 'not '}told", flush=True)
            print(f"people reviewed {office.review(is_bad, _seed(notes.story))} guard decisions", flush=True)
            office.back_test(notes.story.anchor)
            office.keep_books(notes.story)
            office.look_for_savings()
            notebook.history_told(notes_path, notes)
        if is_live:
            threading.Thread(target=machines.go_on, daemon=True).start()
            go_on(notes.story, provider, applications, guards, stop)
    stanchion.shutdown()


def credentials(path: Path) -> tuple[str, str, str]:
    """The server's address and two keys of the demo's project: the applications', and the office's. Raises
    CannotStart."""
    try:
        found = json.loads(path.read_text())
        return found["url"], found["api_key"], found["admin_key"]
    except (OSError, ValueError, KeyError) as error:
        raise CannotStart(
            f"{path} does not name a server and a key ({error}). Start it with script/server --demo."
        ) from None


def tell_history(
    story: storyline.Story, provider: Provider, applications: Applications, guards: Guards, stop: threading.Event
) -> dict[str, bool]:
    """Newest day first, so that the overview fills at once. Returns, by trace of the support bot, whether something was
    in it that a guard is there for. Raises Stopping when asked to end on the way."""
    began_s, calls, conversations = time.monotonic(), 0, 0
    is_newest_day = True
    ratings: list[Rated] = []
    is_bad: dict[str, bool] = {}
    stage = Stage(provider, applications.tracers, applications.ids, _seed(story), ratings.append, guards.of)
    for conversation in storyline.history(story, newest_day_first=True):
        if stop.is_set():
            raise Stopping
        if is_newest_day and conversation.at < story.anchor - timedelta(days=1):
            is_newest_day = False
            applications.flush()
            print(
                f"the last 24 hours are stored after {time.monotonic() - began_s:.0f} s; older days follow", flush=True
            )
        traces = play(conversation, PastClock(conversation.at), stage)
        if conversation.app is catalogue.SUPPORT:
            is_bad |= {trace: _is_bad(conversation, place) for place, trace in enumerate(traces)}
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
    return is_bad


def go_on(
    story: storyline.Story, provider: Provider, applications: Applications, guards: Guards, stop: threading.Event
) -> None:
    """New conversations at their time, several at once, until `stop`; what was to come while it was off is left out."""
    clock = LiveClock(stop)
    stage = Stage(provider, applications.tracers, applications.ids, _seed(story), applications.rate_now, guards.of)
    print("live: a new conversation about every minute", flush=True)
    for conversation in storyline.live(story, datetime.now(UTC)):
        if stop.wait(max(0.0, (conversation.at - datetime.now(UTC)).total_seconds())):
            break
        # Daemons: one that waits for its provider must not hold up the end. The story bounds how many there are.
        threading.Thread(target=_play_quietly, args=(conversation, clock, stage), daemon=True).start()


def _play_quietly(conversation: Conversation, clock: LiveClock, stage: Stage) -> None:
    with suppress(Stopping):
        play(conversation, clock, stage)


def _is_bad(conversation: Conversation, place: int) -> bool:
    """What a guard is there for stands in the first turn; a poisoned document is found in all of them."""
    wanted = GUARDED if place == 0 else {Kind.INJECTION_DOCUMENT}
    return bool(conversation.planted & wanted)


def _seed(story: storyline.Story) -> str:
    return f"{story.seed}/{story.anchor.isoformat()}"


if __name__ == "__main__":
    sys.exit(main())
