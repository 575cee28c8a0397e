from __future__ import annotations

import threading
from pathlib import Path

import pytest

from stanchion_server.ingest.admission import Bounds, Gate
from stanchion_server.ingest.clients import OTHER, Names, from_user_agent
from stanchion_server.ingest.ledger import Refusals
from stanchion_server.ingest.scrub import MASK, mask
from stanchion_server.kernel import clock
from stanchion_server.kernel.errors import Unavailable


def test_bytes_in_flight_are_bounded_and_given_back() -> None:
    gate = Gate(Bounds(max_in_flight_bytes=1_000))
    with gate.request(600) as first:
        with pytest.raises(Unavailable), gate.request(600):
            pass
        with gate.request(100) as second:
            second.add(300)
            with pytest.raises(Unavailable):
                first.add(1)
    assert gate.in_flight_bytes == 0
    with gate.request(600):
        assert gate.in_flight_bytes == 600


def test_a_request_larger_than_the_bound_is_let_in_when_it_is_alone() -> None:
    gate = Gate(Bounds(max_in_flight_bytes=1_000))
    with gate.request(5_000) as hold:
        hold.add(5_000)
    assert gate.in_flight_bytes == 0


def test_four_times_as_many_parses_as_places_end_in_refusals_and_never_run_together() -> None:
    gate = Gate(Bounds(max_parses=2, parse_wait_s=0.02))
    is_over, running, seen, refused = threading.Event(), [0], [0], [0]
    lock = threading.Lock()

    def parse() -> None:
        try:
            with gate.parse():
                with lock:
                    running[0] += 1
                    seen[0] = max(seen[0], running[0])
                is_over.wait(5)
                with lock:
                    running[0] -= 1
        except Unavailable:
            with lock:
                refused[0] += 1
                if refused[0] == 6:
                    is_over.set()

    threads = [threading.Thread(target=parse) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (seen[0], refused[0]) == (2, 6)


def test_after_a_lost_database_the_next_second_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(Bounds())
    began = clock.monotonic_s()
    monkeypatch.setattr(clock, "monotonic_s", lambda: began)
    gate.note_database_away()
    with pytest.raises(Unavailable), gate.request(1):
        pass
    monkeypatch.setattr(clock, "monotonic_s", lambda: began + 1.01)
    with gate.request(1):
        pass


def test_a_full_disk_refuses_and_too_much_memory_lets_one_in_at_a_time(tmp_path: Path) -> None:
    full = Gate(Bounds(min_free_disk_bytes=1 << 60), tmp_path)
    with pytest.raises(Unavailable), full.request(1):
        pass
    large = Gate(Bounds(max_resident_bytes=1))
    with large.request(1), pytest.raises(Unavailable), large.request(1):
        pass


def test_refused_requests_are_counted_together_and_written_at_most_once_a_second() -> None:
    refusals = Refusals(every_s=1.0, max_senders=2)

    def note(client: str, reason: str = "undecodable") -> None:
        refusals.note(1, 7, "traces", client, reason=reason, detail="x", body_bytes=10)

    note("a")
    note("a", "quota")
    note("b")
    note("c")
    found = {entry.client: entry for _, entry in refusals.take(100.0)}
    assert found["a"].reasons == {"undecodable": 1, "quota": 1}
    assert found["a"].body_bytes == 20
    assert set(found) == {"a", "b", OTHER}
    note("a")
    assert refusals.take(100.5) == []
    ((project_id, entry),) = refusals.take(101.0)
    refusals.give_back(project_id, entry)
    assert len(refusals.take(102.0)) == 1


def test_names_of_clients_are_short_printable_and_few() -> None:
    assert from_user_agent("OTel-OTLP-Exporter-Python/1.45.2 extra") == "OTel-OTLP-Exporter-Python 1.45.2"
    assert from_user_agent("") == "unknown client"
    assert len(from_user_agent("x" * 10_000)) == 160
    assert from_user_agent("a\x00\x1bb") == "a b"
    names = Names(limit=3)
    assert [names.bounded(1, str(n)) for n in range(5)] == ["0", "1", "2", OTHER, OTHER]
    assert names.bounded(2, "4") == "4"
    assert names.bounded(1, "0") == "0"


@pytest.mark.parametrize(
    "secret",
    [
        "sk-proj-" + "a1B2" * 8,
        "sk-ant-api03-" + "a1B2" * 8,
        "AKIA" + "ABCD1234" * 2,
        "ghp_" + "a1B2" * 9,
        "xoxb-1234567890-abcdef",
        "AIza" + "a" * 35,
        "stn_live_" + "a" * 12 + "_" + "b" * 38,
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
    ],
)
def test_unmistakable_credentials_are_masked_and_their_surroundings_kept(secret: str) -> None:
    assert mask(f"use {secret} please") == f"use {MASK} please"


@pytest.mark.parametrize(
    "text", ["", "risk-averse behaviour-and-so-on-without-end", "sk-short", "xoxo", "task-force-one-two-three"]
)
def test_ordinary_text_is_returned_as_it_is(text: str) -> None:
    assert mask(text) is text or mask(text) == text


def test_a_request_waits_briefly_for_its_turn_and_is_refused_then():
    gate = Gate(Bounds(max_requests=1, request_wait_s=0.02))

    with gate.request(10), pytest.raises(Unavailable, match="busy"), gate.request(10):
        pass

    with gate.request(10):
        assert gate.in_flight_bytes == 10
