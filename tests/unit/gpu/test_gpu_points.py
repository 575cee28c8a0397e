"""What goes out: names, units, attributes, and no point for what is not known."""

from __future__ import annotations

from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from stanchion_gpu import meters, points, scrape
from stanchion_gpu.records import (
    Card,
    EngineReading,
    GpuProcess,
    Histogram,
    HostReading,
    Owner,
    Sample,
    State,
)
from stanchion_wire import gpu

SECOND_NS = 1_000_000_000


def metrics(interval: points.Interval) -> dict[str, Metric]:
    request, count = points.request(interval, {"host.name": "h1"})
    (resource,) = request.resource_metrics
    assert {one.key: one.value.string_value for one in resource.resource.attributes} == {"host.name": "h1"}
    found = {metric.name: metric for metric in resource.scope_metrics[0].metrics}
    assert count == points.count(found.values())
    assert all(metric.unit == points.UNITS[name] for name, metric in found.items())
    return found


def meter(*samples: Sample) -> meters.CardMeter:
    one = meters.CardMeter(samples[0].card)
    for number, sample in enumerate(samples):
        one.add(sample, float(number))
    return one


def attributes(point: object) -> dict[str, str]:
    return {one.key: one.value.string_value for one in point.attributes}  # type: ignore[attr-defined]


def interval(*cards: meters.CardMeter, **more: object) -> points.Interval:
    return points.Interval(SECOND_NS, 11 * SECOND_NS, cards, **more)  # type: ignore[arg-type]


def test_an_agent_without_cards_still_says_that_it_lives() -> None:
    found = metrics(interval())
    assert found[gpu.AGENT_UP].gauge.data_points[0].as_double == 1
    assert found[gpu.AGENT_GPUS].gauge.data_points[0].as_double == 0
    assert not any(name.startswith("hw.") for name in found)


def test_a_card_that_reports_nothing_has_only_its_state() -> None:
    found = metrics(interval(meter(Sample(Card("GPU-1", "gpu0")))))
    assert [name for name in found if name.startswith(("hw.", "stanchion.gpu"))] == [gpu.STATUS]
    states = {attributes(one)[gpu.HW_STATE]: one.as_double for one in found[gpu.STATUS].gauge.data_points}
    assert states == {"ok": 1, "degraded": 0, "failed": 0}


def test_a_cards_points_carry_who_it_is_and_what_it_works_for() -> None:
    card = Card("GPU-1", "gpu0", model="Tesla T4", driver_version="470.57.02", memory_bytes=16 << 30)
    one = meter(Sample(card, memory_used_bytes=4 << 30, energy_j=5.0), Sample(card, energy_j=25.0))
    found = metrics(interval(one, card_labels={"GPU-1": {gpu.DEPLOYMENT: "llama"}}))
    (used,) = found[gpu.MEMORY_UTILIZATION].gauge.data_points
    assert used.as_double == 0.25
    assert attributes(used) == {
        gpu.HW_ID: "GPU-1",
        gpu.HW_TYPE: "gpu",
        gpu.HW_NAME: "gpu0",
        gpu.HW_MODEL: "Tesla T4",
        gpu.HW_VENDOR: "NVIDIA",
        gpu.HW_DRIVER_VERSION: "470.57.02",
        gpu.SOURCE: "nvml",
        gpu.DEPLOYMENT: "llama",
    }
    (energy,) = found[gpu.ENERGY].sum.data_points
    assert (energy.as_double, energy.start_time_unix_nano, energy.time_unix_nano) == (20.0, SECOND_NS, 11 * SECOND_NS)
    assert attributes(energy)[gpu.ENERGY_METHOD] == "counter"
    assert found[gpu.ENERGY].sum.is_monotonic


def test_a_process_is_named_by_its_owner_and_only_so_many_are_sent() -> None:
    many = tuple(GpuProcess(pid, 1024) for pid in range(100))
    owner = Owner("python3", "c" * 64, None, None, "vllm", ((gpu.FEATURE, "chat"),))
    found = metrics(interval(meter(Sample(Card("GPU-1", "gpu0"), processes=many)), owners={7: owner}))
    sent = found[gpu.PROCESS_MEMORY].gauge.data_points
    assert len(sent) == points.MOST_PROCESSES
    assert attributes(sent[7])[gpu.FEATURE] == "chat"
    assert attributes(sent[7])[gpu.CONTAINER_ID] == "c" * 64
    assert gpu.PROCESS_NAME not in attributes(sent[8])


def test_an_engine_that_does_not_answer_has_a_point_that_says_so_and_no_values() -> None:
    found = metrics(interval(engines=(EngineReading("vllm", "127.0.0.1:8000", False, reason="HTTP 500"),)))
    assert found[gpu.ENGINE_UP].gauge.data_points[0].as_double == 0
    assert gpu.RUNNING not in found


def test_an_engines_first_token_times_stay_a_histogram() -> None:
    reading = EngineReading(
        "vllm", "a:1", True, "llama", {gpu.RUNNING: 3}, {}, {gpu.TTFT: Histogram((0.1, 1.0), (5, 2, 1), 4.5)}
    )
    found = metrics(interval(engines=(reading,)))
    (point,) = found[gpu.TTFT].histogram.data_points
    assert (list(point.bucket_counts), point.count, point.sum) == ([5, 2, 1], 8, 4.5)
    assert attributes(point)[gpu.ENGINE_MODEL] == "llama"


def test_the_scraped_text_has_the_same_values_and_quotes_hostile_names() -> None:
    card = Card('GPU-"1"\n', "gpu0")
    request, _ = points.request(interval(meter(Sample(card, power_w=50.0)), host=HostReading(0.5, 1, 2)), {})
    text = scrape.text(request)
    assert 'hw_power{hw_id="GPU-\\"1\\"\\n"' in text
    assert "system_cpu_utilization{} 0.5" in text
    assert "# TYPE stanchion_agent_dropped_total counter" in text


def test_every_state_has_a_name_of_the_conventions() -> None:
    assert {one.value for one in State} == {"ok", "degraded", "failed"}
