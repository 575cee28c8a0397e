"""The reader against a real shared library, through pynvml's ctypes path."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from kit import nvml_stub

READ = """
import dataclasses, json
from stanchion_gpu import nvml
reader = nvml.Reader()
rounds = [reader.read() for _ in range({rounds})]
print(json.dumps([[{{**dataclasses.asdict(one), "state": one.state.value}} for one in round] for round in rounds]))
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return nvml_stub.build(tmp_path_factory.mktemp("nvml"))


def read(library: Path, rounds: int = 1, **variables: str) -> list[dict[str, dict[str, Any]]]:
    """By round, the samples by UUID."""
    told = json.loads(nvml_stub.python(READ.format(rounds=rounds), library, **variables))
    return [{one["card"]["uuid"]: one for one in samples} for samples in told]


@pytest.mark.slow
def test_every_card_and_mig_instance_is_read_with_its_units(library: Path) -> None:
    (found,) = read(library)
    assert list(found) == [f"GPU-{index}" for index in range(6)] + ["MIG-5-0", "MIG-5-1", "GPU-6", "GPU-7"]
    card = found["GPU-4"]
    assert card["card"] == {
        "uuid": "GPU-4",
        "name": "gpu4",
        "model": "NVIDIA H100",
        "serial": "S4",
        "parent": None,
        "driver_version": "570.86.10",
        "memory_bytes": 80 << 30,
    }
    assert (card["utilization_ratio"], card["memory_busy_ratio"]) == (0.4, 0.05)
    assert (card["power_w"], card["power_limit_w"], card["energy_j"]) == (104.0, 700.0, 1250.0)
    assert (card["memory_used_bytes"], card["temperature_c"]) == ((5 << 30) - (600 << 20), 44)  # without the reserve
    assert (card["graphics_hz"], card["sm_hz"], card["memory_hz"]) == (1000e6, 1001e6, 1002e6)
    assert (card["pcie_sent_bytes_per_s"], card["pcie_received_bytes_per_s"]) == (1024 * 1024, 2048 * 1024)
    assert (card["nvlink_sent_bytes"], card["nvlink_received_bytes"]) == (4096 * 1024, 8192 * 1024)
    assert (card["performance_state"], found["GPU-0"]["performance_state"]) == (0, 8)


@pytest.mark.slow
def test_what_a_card_does_not_support_is_not_known_and_not_zero(library: Path) -> None:
    (found,) = read(library)
    poor = found["GPU-3"]
    known = {name for name, value in poor.items() if value not in (None, [])}
    assert known == {"card", "state", "memory_used_bytes"}
    assert found["GPU-2"]["energy_j"] is None
    assert found["GPU-2"]["power_w"] == 102.0
    assert all(sample["memory_temperature_c"] is None for sample in found.values())


@pytest.mark.slow
def test_a_mig_instance_has_its_own_memory_and_its_cards_uuid(library: Path) -> None:
    (found,) = read(library)
    instance = found["MIG-5-1"]
    assert (instance["card"]["parent"], instance["card"]["name"]) == ("GPU-5", "gpu5/1")
    assert instance["card"]["memory_bytes"] == 40 << 30
    assert instance["power_w"] is None


@pytest.mark.slow
def test_a_card_that_falls_off_the_bus_is_failed_and_the_others_are_read_on(library: Path) -> None:
    rounds = read(library, rounds=4, STUB_LOST_AFTER="2")
    assert [one["GPU-6"]["state"] for one in rounds] == ["ok", "ok", "failed", "failed"]
    assert rounds[3]["GPU-6"]["power_w"] is None
    assert [one["GPU-7"]["state"] for one in rounds] == ["ok"] * 4


@pytest.mark.slow
def test_uncorrected_errors_degrade_a_card_and_an_xid_is_told_once(library: Path) -> None:
    first, second = read(library, rounds=2)
    assert first["GPU-4"]["state"] == "degraded"
    assert first["GPU-4"]["ecc_uncorrected"] == 2
    assert (first["GPU-4"]["xids"], second["GPU-4"]["xids"]) == ([79], [])


@pytest.mark.slow
def test_processes_are_listed_with_the_memory_that_is_known(library: Path) -> None:
    (found,) = read(library, STUB_PID=str(os.getpid()))
    mine, other = found["GPU-0"]["processes"]
    assert mine == {"pid": os.getpid(), "memory_bytes": 512 << 20, "utilization_ratio": None}
    assert other["memory_bytes"] is None
    assert found["GPU-1"]["processes"] == []
    assert found["GPU-3"]["processes"] is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("driver", "said"), [("none", "installed and not loaded"), (None, "libnvidia-ml.so.1 is not there")]
)
def test_a_host_without_a_driver_says_what_is_missing(library: Path, driver: str | None, said: str) -> None:
    code = "from stanchion_gpu import nvml\ntry: nvml.Reader()\nexcept nvml.NoDriver as error: print(error)"
    beside = library if driver else None
    assert said in nvml_stub.python(code, beside, STUB_DRIVER=driver or "")


LIVE = """
import json, pathlib
from stanchion_gpu import nvml
now = [0.0]
control = pathlib.Path({control!r})
def told(words):
    control.write_text(words)
def states(samples):
    return {{one.card.uuid or one.card.name: one.state.value for one in samples}}
def later():
    now[0] += nvml.LOOK_AGAIN_S
    return reader.read()
told({at_start!r})
reader = nvml.Reader(now_s=lambda: now[0])
{code}
"""


def live(library: Path, folder: Path, code: str, at_start: str = "") -> Any:
    """What a program prints that changes the stub while it reads."""
    control = str(folder / "control")
    text = LIVE.format(control=control, at_start=at_start, code=code)
    return json.loads(nvml_stub.python(text, library, STUB_CONTROL=control))


@pytest.mark.slow
def test_a_driver_that_is_loaded_anew_is_taken_up_and_until_then_each_card_is_failed(
    library: Path, tmp_path: Path
) -> None:
    code = """
rounds = [states(reader.read())]
told("unload"); rounds.append(states(reader.read())); rounds.append(states(later()))
told(""); rounds.append(states(reader.read())); rounds.append(states(later()))
print(json.dumps(rounds))
"""
    before, gone, still_gone, too_early, back = live(library, tmp_path, code)
    assert set(gone.values()) == set(still_gone.values()) == set(too_early.values()) == {"failed"}
    assert back == before
    assert len(before) == 10


@pytest.mark.slow
def test_instances_that_were_taken_down_are_left_out_and_new_ones_are_found(library: Path, tmp_path: Path) -> None:
    code = """
rounds = [list(states(reader.read()))]
told("nomig"); rounds.append(list(states(later())))
told(""); rounds.append(list(states(later())))
print(json.dumps(rounds))
"""
    with_two, without, again = live(library, tmp_path, code)
    assert without == [f"GPU-{index}" for index in range(8)]
    assert with_two == again


@pytest.mark.slow
def test_a_card_that_was_lost_before_the_agent_came_is_told_by_its_index_until_it_is_back(
    library: Path, tmp_path: Path
) -> None:
    code = """
rounds = [states(reader.read())]
told(""); rounds.append(states(later()))
print(json.dumps(rounds))
"""
    lost, back = live(library, tmp_path, code, at_start="dead")
    assert (lost["gpu2"], "GPU-2" in lost, len(lost)) == ("failed", False, 10)
    assert (back["GPU-2"], "gpu2" in back, len(back)) == ("ok", False, 10)


@pytest.mark.slow
def test_one_reading_with_an_unknown_error_is_not_known_and_the_card_lives(library: Path, tmp_path: Path) -> None:
    code = """
told("odd"); odd = {one.card.uuid: one for one in reader.read()}["GPU-1"]
errors = reader.errors
told(""); well = {one.card.uuid: one for one in reader.read()}["GPU-1"]
print(json.dumps([odd.state.value, odd.power_w, odd.energy_j, errors, well.power_w]))
"""
    state, power_w, energy_j, errors, later_w = live(library, tmp_path, code)
    assert (state, power_w, errors, later_w) == ("ok", None, 1, 101.0)
    assert energy_j is not None


@pytest.mark.slow
def test_a_row_of_memory_that_waits_for_its_spare_degrades_a_card(library: Path, tmp_path: Path) -> None:
    code = "print(json.dumps(states(reader.read())))"
    found = live(library, tmp_path, code, at_start="spare")
    assert (found["GPU-0"], found["GPU-1"]) == ("degraded", "ok")


@pytest.mark.slow
def test_a_driver_that_knows_no_card_is_no_source(library: Path, tmp_path: Path) -> None:
    code = "from stanchion_gpu import nvml\ntry: nvml.Reader()\nexcept nvml.NoDriver as error: print(error)"
    control = tmp_path / "control"
    control.write_text("none")
    assert "knows no card" in nvml_stub.python(code, library, STUB_CONTROL=str(control))


@pytest.mark.slow
def test_processes_of_a_split_card_are_listed_once_with_its_instances(library: Path) -> None:
    (found,) = read(library)
    assert found["GPU-5"]["processes"] is None
    assert found["MIG-5-0"]["processes"] == []


@pytest.mark.slow
def test_processes_that_did_nothing_lately_are_no_failed_readings(library: Path) -> None:
    code = """
from stanchion_gpu import nvml
reader = nvml.Reader()
samples = [reader.read()[0] for _ in range(6)][-1]
print(reader.errors, samples.processes[0].utilization_ratio)
"""
    assert nvml_stub.python(code, library).split() == ["0", "None"]


@pytest.mark.slow
def test_of_a_processs_shares_the_newest_counts(library: Path, tmp_path: Path) -> None:
    control = tmp_path / "control"
    control.write_text("busy")
    (found,) = read(library, STUB_CONTROL=str(control))
    assert [one["utilization_ratio"] for one in found["GPU-0"]["processes"]] == [0.6, None]
