"""nvidia-smi's text, processes of a made-up /proc, engines' texts, settings."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.raw_server import answering
from stanchion_gpu import engines, meters, points, processes, settings, smi, sources
from stanchion_gpu.records import Card, GpuProcess, Histogram, Sample, State
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


VLLM = """
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="meta/llama"} 3.0
vllm:num_requests_running{engine="1",model_name="meta/llama"} 2.0
vllm:num_requests_waiting{engine="0",model_name="meta/llama"} 7.0
vllm:kv_cache_usage_perc{engine="0",model_name="meta/llama"} 0.25
vllm:kv_cache_usage_perc{engine="1",model_name="meta/llama"} 0.75
vllm:num_preemptions_total{engine="0",model_name="meta/llama"} 4.0
vllm:prefix_cache_queries_total{engine="0",model_name="meta/llama"} 1000.0
vllm:prefix_cache_hits_total{engine="0",model_name="meta/llama"} 400.0
vllm:prompt_tokens_total{engine="0",model_name="meta/llama"} 9000.0
vllm:generation_tokens_total{engine="0",model_name="meta/llama"} 1200.0
vllm:request_success_total{engine="0",finished_reason="stop",model_name="meta/llama"} 10.0
vllm:request_success_total{engine="0",finished_reason="length",model_name="meta/llama"} 2.0
vllm:time_to_first_token_seconds_bucket{le="0.1",model_name="meta/llama"} 5.0
vllm:time_to_first_token_seconds_bucket{le="1.0",model_name="meta/llama"} 9.0
vllm:time_to_first_token_seconds_bucket{le="+Inf",model_name="meta/llama"} 12.0
vllm:time_to_first_token_seconds_sum{model_name="meta/llama"} 8.5
vllm:e2e_request_latency_seconds_sum{model_name="meta/llama"} 99.0
"""


def test_a_vllm_of_two_ranks_is_added_up_and_its_fullest_cache_counts() -> None:
    found = engines.parse("vllm", "h:8000", VLLM)
    assert (found.is_up, found.model) == (True, "meta/llama")
    assert found.gauges == {gpu.RUNNING: 5, gpu.WAITING: 7, gpu.KV_CACHE_USE: 0.75}
    assert found.counters == {
        gpu.PREEMPTIONS: 4,
        gpu.PREFIX_QUERIES: 1000,
        gpu.PREFIX_HITS: 400,
        gpu.PROMPT_TOKENS: 9000,
        gpu.GENERATED_TOKENS: 1200,
        gpu.REQUESTS: 12,
    }
    assert found.histograms == {gpu.TTFT: Histogram((0.1, 1.0), (5, 4, 3), 8.5)}


OTHERS = {
    "sglang": (
        (
            'sglang:num_running_reqs{model_name="m"} 1\nsglang:num_queue_reqs{model_name="m"} 2\n'
            'sglang:token_usage{model_name="m"} 0.28\nsglang:cache_hit_rate{model_name="m"} 0.5\n'
        ),
        {gpu.RUNNING: 1, gpu.WAITING: 2, gpu.KV_CACHE_USE: 0.28, gpu.PREFIX_HIT_RATE: 0.5},
    ),
    "tgi": ("tgi_queue_size 4\ntgi_batch_current_size 8\n", {gpu.WAITING: 4, gpu.BATCH_SIZE: 8}),
    "triton": (
        (
            'nv_trt_llm_request_metrics{model="m",request_type="active",version="1"} 3\n'
            'nv_trt_llm_request_metrics{model="m",request_type="waiting",version="1"} 5\n'
            'nv_trt_llm_request_metrics{model="m",request_type="max",version="1"} 512\n'
            'nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type="fraction",model="m",version="1"} 0.4\n'
        ),
        {gpu.RUNNING: 3, gpu.WAITING: 5, gpu.KV_CACHE_USE: 0.4},
    ),
    "llama.cpp": (
        "llamacpp:requests_processing 1\nllamacpp:requests_deferred 0\nllamacpp:kv_cache_usage_ratio 0.1\n",
        {gpu.RUNNING: 1, gpu.WAITING: 0, gpu.KV_CACHE_USE: 0.1},
    ),
    "djl": ('vllm:num_requests_running{model_name="m"} 6\n', {gpu.RUNNING: 6}),
}


@pytest.mark.parametrize("engine", OTHERS)
def test_each_engines_gauges_come_out_under_our_names(engine: str) -> None:
    text, expected = OTHERS[engine]
    found = engines.parse(engine, "h:1", text)
    assert (found.is_up, found.gauges) == (True, expected)


@pytest.mark.parametrize("text", ["", "<html>login</html>", "vllm:num_requests_running{ 3", "\x00\xff" * 50])
def test_what_is_no_metrics_text_is_an_engine_that_is_not_up(text: str) -> None:
    found = engines.parse("vllm", "h:1", text)
    assert not found.is_up
    assert found.reason


def test_one_broken_line_costs_that_line_and_no_other() -> None:
    found = engines.parse("vllm", "h:1", "vllm:num_requests_running{oops 3\nvllm:num_requests_waiting 2\n")
    assert (found.is_up, found.gauges, found.reason) == (True, {gpu.WAITING: 2}, "1 lines left out")


@pytest.mark.parametrize("value", ["NaN", "+Inf", "1e300", "-1e19"])
def test_a_value_that_cannot_be_is_not_known(value: str) -> None:
    text = f"vllm:num_requests_running {value}\nvllm:num_requests_waiting 1\nvllm:prompt_tokens_total {value}\n"
    found = engines.parse("vllm", "h:1", text)
    assert (found.gauges, found.counters) == ({gpu.WAITING: 1}, {})


def test_a_caches_capacity_is_blocks_times_their_size_over_all_ranks() -> None:
    line = 'vllm:cache_config_info{{block_size="16",engine="{0}",num_gpu_blocks="{1}"}} 1\n'
    assert engines.parse("vllm", "h:1", line.format(0, 573) + line.format(1, 27)).gauges == {
        gpu.KV_CACHE_CAPACITY: 9600
    }
    assert engines.parse("vllm", "h:1", line.format(0, 573) + line.format(1, "None")).gauges == {}
    assert engines.parse("vllm", "h:1", line.format(0, "9" * 5000)).gauges == {}


def test_tritons_blocks_are_tokens_of_each_model() -> None:
    line = 'nv_trt_llm_kv_cache_block_metrics{{kv_cache_block_type="{}",model="{}",version="1"}} {}\n'
    text = "".join(
        line.format(kind, model, value)
        for model, size in (("a", 64), ("b", 32))
        for kind, value in (("tokens_per", size), ("used", 10), ("max", 100))
    )
    assert engines.parse("triton", "h:1", text).gauges == {
        gpu.KV_CACHE_TOKENS: 10 * 64 + 10 * 32,
        gpu.KV_CACHE_CAPACITY: 100 * 64 + 100 * 32,
    }


@given(st.text(max_size=300))
def test_no_text_of_an_engine_hurts(text: str) -> None:
    wild = f'vllm:num_requests_running{text}\nvllm:cache_config_info{{num_gpu_blocks="{text}",block_size="16"}} 1\n'
    found = engines.parse("vllm", "h:1", wild + f'vllm:time_to_first_token_seconds_bucket{{le="{text}"}} 1')
    points.request(points.Interval(1, 2, engines=(found,)), {})


def test_an_engine_that_is_away_is_not_up_and_says_why() -> None:
    found = engines.read("vllm", "127.0.0.1:9")
    assert (found.is_up, found.reason) == (False, "ConnectionRefusedError")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\n\r\n", "HTTP 302"),
        (b"HTTP/1.1 501 Not Implemented\r\n\r\n", "HTTP 501"),
        (b"220 mail.example ESMTP\r\n", "BadStatusLine"),
        (b"", "RemoteDisconnected"),
    ],
)
def test_an_answer_that_is_no_reading_is_an_engine_that_is_not_up(answer: bytes, said: str) -> None:
    with answering(lambda connection: connection.sendall(answer)) as endpoint:
        found = engines.read("vllm", endpoint)
    assert (found.is_up, found.reason) == (False, said)


def test_an_engine_that_sends_a_byte_now_and_then_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "WHOLE_S", 0.2)
    ended = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\nvllm:num_requests_running ")
        while not ended.wait(0.02):
            connection.sendall(b"1")

    with answering(drip) as endpoint:
        found = engines.read("vllm", endpoint)
        ended.set()
    # What had come by then ends in half a line.
    assert not found.gauges or found.gauges[gpu.RUNNING] > 0


def test_an_answer_beyond_the_bound_loses_its_last_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "MOST_BYTES", 60)
    body = b"vllm:num_requests_running 5\nvllm:num_requests_waiting 123456\n"
    with answering(lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + body)) as endpoint:
        assert engines.read("vllm", endpoint).gauges == {gpu.RUNNING: 5}


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
        ("LABELS", "job=play", "labels.job is 'play'; write serve or train"),
        ("COLOUR", "red", "unknown setting 'colour'; known are: "),
    ],
)
def test_a_wrong_setting_names_itself_and_what_to_write(name: str, value: str, said: str) -> None:
    with pytest.raises(settings.WrongSetting) as raised:
        settings.read(None, {f"STANCHION_GPU_{name}": value})
    assert said in str(raised.value)


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
