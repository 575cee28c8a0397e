"""nvidia-smi's text, processes of a made-up /proc, settings."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stanchion_gpu import meters, points, processes, settings, smi, sources
from stanchion_gpu.records import Card, GpuProcess, Sample, State
from stanchion_wire import gpu

T4 = "0, GPU-77, Tesla T4, 470.57.02, 15109, {used}, 0, 0, 25.42, 70.00, 26, 300, 300, 405, P0\n"
CONTAINER = "4f" * 32


@pytest.mark.parametrize("used_mib", [0, 119, 651, 5689])
def test_a_t4_is_read_from_nvidia_smi_in_bytes_and_hertz(used_mib: int) -> None:
    (sample,) = smi.parse(T4.format(used=used_mib))
    assert sample.card.memory_bytes == 15109 * 1024 * 1024
    assert sample.memory_used_bytes == used_mib * 1024 * 1024
    assert (sample.power_w, sample.temperature_c, sample.performance_state) == (25.42, 26, 0)
    assert (sample.utilization_ratio, sample.graphics_hz, sample.memory_hz) == (0, 300e6, 405e6)
    assert sample.energy_j is None


def test_what_nvidia_smi_does_not_know_is_not_zero() -> None:
    (sample,) = smi.parse("1, GPU-8, A card, 580.1, [N/A], [Not Supported], N/A, [N/A], , [N/A], x, , , , [N/A]\n")
    known = {name for name in sample.__slots__ if getattr(sample, name) not in (None, ())}
    assert known == {"card", "state"}
    assert sample.card.memory_bytes is None


def test_messages_between_the_lines_are_no_cards() -> None:
    assert smi.parse("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n") == []


TOOL = """#!/bin/sh
case "$1" in
  --query-gpu=*) cat {folder}/cards ;;
  --query-compute-apps=*) cat {folder}/apps ;;
esac
"""


def test_the_tool_gives_cards_and_their_processes_and_what_it_names_no_more_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nvidia-smi").write_text(TOOL.format(folder=tmp_path))
    (tmp_path / "nvidia-smi").chmod(0o755)
    (tmp_path / "cards").write_text(T4.format(used=5689) + T4.format(used=0).replace("GPU-77", "GPU-78"))
    (tmp_path / "apps").write_text(
        "GPU-77, 4711, 5686\nGPU-77, 4712, [N/A]\nGPU-99, 1, 1\nNo running processes found\n"
    )
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    source = sources.open_source("nvidia-smi")
    first, second = source.read()
    assert first.processes == (GpuProcess(4711, 5686 << 20), GpuProcess(4712, None))
    assert second.processes == ()
    (tmp_path / "cards").write_text(T4.format(used=0))
    assert [(one.card.uuid, one.state) for one in source.read()] == [("GPU-77", State.OK), ("GPU-78", State.FAILED)]
    (tmp_path / "nvidia-smi").unlink()
    assert [one.state for one in source.read()] == [State.FAILED] * 2
    assert source.errors == 1


def a_process(proc: Path, pid: int, command: list[str], cgroup: str, environment: bytes = b"") -> None:
    folder = proc / str(pid)
    (folder / "fd").mkdir(parents=True)
    (folder / "cmdline").write_bytes("\0".join(command).encode() + b"\0")
    (folder / "cgroup").write_text(cgroup)
    (folder / "environ").write_bytes(environment)
    (folder / "exe").symlink_to(command[0])


def test_a_pod_is_known_by_its_cgroup_and_its_labels_by_its_environment(tmp_path: Path) -> None:
    pod = "pod0a1b2c3d_1111_2222_3333_444455556666.slice"
    path = f"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-{pod}/cri-containerd-{CONTAINER}.scope\n"
    secret = b"OPENAI_API_KEY=sk-secret\0STANCHION_FEATURE=support-bot\0STANCHION_JOB_KIND=serve\0PATH=/bin"
    a_process(tmp_path, 7, ["/usr/bin/python3.11", "-m", "vllm.entrypoints.openai.api_server"], path, secret)
    found = processes.owner(7, tmp_path)
    assert found is not None
    assert (found.container_id, found.pod_uid) == (CONTAINER, "0a1b2c3d-1111-2222-3333-444455556666")
    assert (found.executable, found.engine) == ("python3.11", "vllm")
    assert found.labels == ((gpu.FEATURE, "support-bot"), (gpu.JOB_KIND, "serve"))
    assert "secret" not in repr(found)


def test_a_systemd_unit_and_a_docker_container_are_known(tmp_path: Path) -> None:
    a_process(tmp_path, 1, ["/opt/llama/llama-server", "-m", "x.gguf"], "0::/system.slice/llama.service\n")
    a_process(tmp_path, 2, ["/usr/bin/tritonserver"], f"12:memory:/docker/{CONTAINER}\n")
    unit, docker = processes.owner(1, tmp_path), processes.owner(2, tmp_path)
    assert unit is not None
    assert docker is not None
    assert (unit.systemd_unit, unit.engine, unit.container_id) == ("llama.service", "llama.cpp", None)
    assert (docker.container_id, docker.engine) == (CONTAINER, "triton")


def test_a_process_that_is_gone_has_no_owner(tmp_path: Path) -> None:
    assert processes.owner(99, tmp_path) is None


def test_names_in_any_bytes_can_be_sent(tmp_path: Path) -> None:
    a_process(tmp_path, 7, ["/bin/x"], "0::/\n", b"STANCHION_MODEL=\xff\xfe")
    (tmp_path / "7" / "exe").unlink()
    os.symlink(b"/opt/tr\xe4iner", os.fsencode(tmp_path / "7" / "exe"))
    owner = processes.owner(7, tmp_path)
    assert owner is not None
    meter = meters.CardMeter(Card("GPU-1", "gpu0"))
    meter.add(Sample(Card("GPU-1", "gpu0"), processes=(GpuProcess(7, 1),)), 0.0)
    request, _count = points.request(points.Interval(1, 2, (meter,), {7: owner}), {})
    assert "tr\ufffdiner".encode() in request.SerializeToString()


def test_a_variable_that_is_not_utf8_is_a_wrong_setting() -> None:
    with pytest.raises(settings.WrongSetting, match="host_name is not UTF-8"):
        settings.read(None, {"STANCHION_GPU_HOST_NAME": "h\udcff"})


def test_a_client_of_an_engine_is_no_engine() -> None:
    assert processes.engine_of(["/usr/bin/python3", "bench.py", "--model", "m", "--backend", "vllm"]) is None


@pytest.mark.parametrize(
    ("words", "engine"),
    [
        (["VLLM::EngineCore"], "vllm"),
        (["sglang::scheduler_TP0"], "sglang"),
        (["/usr/bin/python3", "-m", "vllm.entrypoints.openai.api_server"], "vllm"),
        (["sh", "-c", "vllm serve llama"], "vllm"),
        (["/opt/conda/bin/python3.11", "/opt/conda/bin/text-generation-server", "serve"], "tgi"),
        (["java", *["-Dx"] * 20, "ai.djl.serving.ModelServer"], "djl"),
        (["/home/vllm/venv/bin/python3", "train.py"], None),
        ([], None),
    ],
)
def test_an_engine_is_known_by_what_its_process_calls_itself(words: list[str], engine: str | None) -> None:
    assert processes.engine_of(words) == engine


def with_parent(proc: Path, pid: int, parent: int, children: str = "") -> None:
    (proc / str(pid) / "stat").write_text(f"{pid} (a) name) S {parent} 1 1 0\n")
    (proc / str(pid) / "task" / str(pid)).mkdir(parents=True)
    (proc / str(pid) / "task" / str(pid) / "children").write_text(children)


def test_a_worker_on_the_card_leads_to_the_process_that_serves(tmp_path: Path) -> None:
    a_process(tmp_path, 10, ["/bin/bash"], "0::/\n")
    a_process(
        tmp_path, 20, ["python3", "/bin/vllm", "serve", "m", "--port=8123", "--tensor-parallel-size", "4"], "0::/\n"
    )
    a_process(tmp_path, 30, ["VLLM::EngineCore"], "0::/\n")
    with_parent(tmp_path, 10, 1, "20 99 ")
    with_parent(tmp_path, 20, 10, "30 31 ")
    with_parent(tmp_path, 30, 20)
    family = processes.family(30, tmp_path)
    assert family == [30, 20, 31]
    commands = [processes.command(pid, tmp_path) for pid in family]
    assert (processes.named_ports(commands), processes.tensor_parallel(commands)) == ([8123], 4)


def test_options_that_are_no_numbers_are_none() -> None:
    commands = [["vllm", "--port", "--tp", "auto"], ["x", "--port=99999999"], []]
    assert (processes.named_ports(commands), processes.tensor_parallel(commands)) == ([], None)


def test_a_wrong_job_kind_is_left_out_and_long_labels_are_cut() -> None:
    labels = dict(processes.labels_of(b"STANCHION_JOB_KIND=mine\0STANCHION_MODEL=" + b"m" * 999))
    assert labels == {gpu.MODEL: "m" * processes.MOST_LABEL_CHARACTERS}


def test_listening_ports_are_those_of_the_process(tmp_path: Path) -> None:
    a_process(tmp_path, 5, ["/bin/x"], "0::/\n")
    (tmp_path / "5" / "fd" / "3").symlink_to("socket:[4242]")
    (tmp_path / "net").mkdir()
    row = "   0: {local} 00000000:0000 {state} 0:0 00:0 0 0 0 {inode} 1 0 100\n"
    (tmp_path / "net" / "tcp").write_text(
        "header\n"
        + row.format(local="00000000:1F40", state="0A", inode=4242)
        + row.format(local="00000000:1F90", state="01", inode=4242)
        + row.format(local="00000000:2328", state="0A", inode=1)
    )
    assert processes.listening_ports([5, 6], tmp_path) == {5: [8000]}


def test_settings_come_from_a_file_and_variables_go_before_it(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(
        'endpoint = "http://a:1"\nexport_s = 5\n[labels]\nfeature = "chat"\njob = "train"\n'
        '[cards.gpu0]\ndeployment = "llama"\n[[engines]]\nkind = "vllm"\nendpoint = "127.0.0.1:8000"\n'
    )
    found = settings.read(file, {"STANCHION_GPU_EXPORT_S": "20", "STANCHION_API_KEY": "k", "HOME": "/"})
    assert (found.url, found.export_s, found.api_key) == ("http://a:1/v1/metrics", 20.0, "k")
    assert found.labels == {gpu.FEATURE: "chat", gpu.JOB_KIND: "train"}
    assert found.cards == {"gpu0": {gpu.DEPLOYMENT: "llama"}}
    assert found.engines[0].endpoint == "127.0.0.1:8000"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("EXPORT_S", "often", "export_s is 'often'; write a number of seconds"),
        ("EXPORT_S", "0.2", "export_s is 0.2; write 1 to 600 seconds"),
        ("ENDPOINT", "localhost:8000", "endpoint is 'localhost:8000'; write http://host:port"),
        ("SOURCE", "dcgm", "source is 'dcgm'; write auto, nvml or nvidia-smi"),
        ("ENGINES", "vllm2@a:1", "kind is 'vllm2'; write one of vllm"),
        ("ENGINES", "vllm@a", "endpoint is 'a'; write host:port"),
        ("SPOOL_BYTES", "many", "spool_bytes is 'many'"),
        ("WAIT_FOR_GPU", "maybe", "write true or false"),
        ("ENGINES", "vllm@a:99999", "endpoint is 'a:99999'; write host:port"),
        ("PROMETHEUS", "9400", "prometheus is '9400'; write host:port"),
        ("PROMETHEUS", "127.0.0.1:http", "prometheus is '127.0.0.1:http'; write host:port"),
        ("API_KEY", "a\nb", "api_key holds a line break"),
        ("HEADERS", "x-key=gehüpft", "x-key holds a line break or a letter that no header can carry"),
        ("HEADERS", "x key=1", "headers: 'x key' is no name of a header"),
        ("ENDPOINT", "http://host:99999", "endpoint is 'http://host:99999'; write http://host:port"),
        ("ENDPOINT", "https://ada:secret@host", "endpoint holds a user name; write http://host:port"),
        ("LABELS", "job=play", "labels.job is 'play'; write serve or train"),
        ("COLOUR", "red", "unknown setting 'colour'; known are: "),
    ],
)
def test_a_wrong_setting_names_itself_and_what_to_write(name: str, value: str, said: str) -> None:
    with pytest.raises(settings.WrongSetting) as raised:
        settings.read(None, {f"STANCHION_GPU_{name}": value})
    assert said in str(raised.value)


def test_a_password_in_an_address_is_not_repeated() -> None:
    with pytest.raises(settings.WrongSetting) as raised:
        settings.read(None, {"STANCHION_ENDPOINT": "https://ada:secret@host"})
    assert "secret" not in str(raised.value)


def test_an_endless_number_of_bytes_is_a_wrong_setting(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text("spool_bytes = inf")
    with pytest.raises(settings.WrongSetting, match="spool_bytes is inf"):
        settings.read(file, {})


def test_labels_may_come_in_a_variable() -> None:
    found = settings.read(None, {"STANCHION_GPU_LABELS": "deployment=llama, job=serve"})
    assert found.labels == {gpu.DEPLOYMENT: "llama", gpu.JOB_KIND: "serve"}


def test_what_kubernetes_says_about_a_service_of_our_name_is_no_setting() -> None:
    found = settings.read(
        None,
        {
            "STANCHION_GPU_AGENT_SERVICE_HOST": "10.0.0.1",
            "STANCHION_GPU_AGENT_SERVICE_PORT_METRICS": "9400",
            "STANCHION_GPU_AGENT_PORT": "tcp://10.0.0.1:9400",
            "STANCHION_GPU_AGENT_PORT_9400_TCP_ADDR": "10.0.0.1",
        },
    )
    assert found == settings.Settings()


@pytest.mark.parametrize(
    "table",
    ['kind = "vllm"', 'kind = "vllm"\nendpoint = "a:1"\ncolour = "red"', 'kind="vllm"\nendpoint="a:1"\npath="x"'],
)
def test_an_engines_table_is_checked(tmp_path: Path, table: str) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(f"[[engines]]\n{table}\n")
    with pytest.raises(settings.WrongSetting, match="engines: "):
        settings.read(file, {})


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text("= =")
    with pytest.raises(settings.WrongSetting, match="is not TOML"):
        settings.read(file, {})
