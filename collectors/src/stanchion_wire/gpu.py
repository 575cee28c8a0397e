"""Metrics of GPUs, serving engines and the agent that reads them, as names on the wire.

`hw.*` are those of OpenTelemetry's semantic conventions for hardware (v1.44, development status, read 2026-11-26);
where they have no name, `stanchion.*` has one. Every point of a GPU carries HW_TYPE and HW_ID; only a card that was off
the bus before the agent came has no HW_ID, and HW_NAME alone. A value that the card does not report has no point:
nothing is sent as 0 that was not read as 0. Counters are cumulative, begin at 0 with the agent (also those of engines)
and never fall while it runs.
"""

from __future__ import annotations

from typing import Final

# Attributes of a point.
HW_ID: Final = "hw.id"  # the card's UUID ("GPU-…", "MIG-…"); unique beyond its host
HW_TYPE: Final = "hw.type"
HW_TYPE_GPU: Final = "gpu"
HW_NAME: Final = "hw.name"  # "gpu0": the index on its host
HW_MODEL: Final = "hw.model"  # "Tesla T4"
HW_VENDOR: Final = "hw.vendor"
HW_PARENT: Final = "hw.parent"  # of a MIG instance: the UUID of its card
HW_SERIAL_NUMBER: Final = "hw.serial_number"
HW_DRIVER_VERSION: Final = "hw.driver_version"
HW_GPU_TASK: Final = "hw.gpu.task"  # general | encoder | decoder
HW_STATE: Final = "hw.state"  # ok | degraded | failed
ERROR_TYPE: Final = "error.type"  # corrected | uncorrected | xid.<number>
DIRECTION: Final = "network.io.direction"  # receive | transmit, seen from the card
LINK: Final = "stanchion.gpu.link"  # pcie | nvlink
SENSOR: Final = "stanchion.gpu.sensor"  # core | memory
CLOCK: Final = "stanchion.gpu.clock"  # graphics | sm | memory
REASON: Final = "stanchion.gpu.throttle.reason"  # one of THROTTLE_REASONS
ENERGY_METHOD: Final = "stanchion.gpu.energy.method"  # counter | integrated (power over time: an estimate)
SOURCE: Final = "stanchion.gpu.source"  # nvml | nvidia-smi
PROCESS_PID: Final = "process.pid"
PROCESS_NAME: Final = "process.executable.name"
CONTAINER_ID: Final = "container.id"
POD_UID: Final = "k8s.pod.uid"
SYSTEMD_UNIT: Final = "stanchion.systemd.unit"

# What a card, a process or an engine works for; set by the operator, on points or on the resource.
FEATURE: Final = "stanchion.feature"
MODEL: Final = "stanchion.model"
DEPLOYMENT: Final = "stanchion.deployment"
JOB_KIND: Final = "stanchion.job.kind"  # serve | train
RUN_ID: Final = "stanchion.run.id"
LABELS: Final = (FEATURE, MODEL, DEPLOYMENT, JOB_KIND, RUN_ID)

# A card. Gauges unless said; a gauge of the agent is about the seconds since the point before.
UTILIZATION: Final = "hw.gpu.utilization"  # 1: mean share of time with a kernel running, by HW_GPU_TASK
UTILIZATION_MAX: Final = "stanchion.gpu.utilization.max"  # 1: largest sample
MEMORY_BUSY: Final = "stanchion.gpu.memory.busy"  # 1: mean share of time in which memory was read or written
MEMORY_USAGE: Final = "hw.gpu.memory.usage"  # By: largest sample
MEMORY_LIMIT: Final = "hw.gpu.memory.limit"  # By
MEMORY_UTILIZATION: Final = "hw.gpu.memory.utilization"  # 1: usage over limit
POWER: Final = "hw.power"  # W: mean
POWER_LIMIT: Final = "hw.power.limit"  # W: what the card may draw now
ENERGY: Final = "hw.energy"  # J: counter since the agent's start, never falling while it runs, by ENERGY_METHOD
TEMPERATURE: Final = "hw.temperature"  # Cel: largest sample, by SENSOR
FREQUENCY: Final = "stanchion.gpu.frequency"  # Hz: last sample, by CLOCK
PERFORMANCE_STATE: Final = "stanchion.gpu.performance_state"  # 0 (P0, fastest) to 15
THROTTLED: Final = "stanchion.gpu.throttled"  # s: counter of time slowed down, by REASON
IO: Final = "hw.gpu.io"  # By: counter of bytes moved, by DIRECTION and LINK
ERRORS: Final = "hw.errors"  # {error}: counter, by ERROR_TYPE
STATUS: Final = "hw.status"  # 1 for the HW_STATE that holds, 0 for the others
PROCESSES: Final = "stanchion.gpu.processes"  # {process}: all that hold memory, the unnamed ones included
PROCESS_MEMORY: Final = "stanchion.gpu.process.memory.usage"  # By, by PROCESS_PID
PROCESS_UTILIZATION: Final = "stanchion.gpu.process.utilization"  # 1, by PROCESS_PID

# Bits of NVML's clock event reasons that slow a card down; idling and chosen clocks are none.
THROTTLE_REASONS: Final = {
    0x4: "power_cap",
    0x8: "hardware_slowdown",
    0x20: "software_thermal",
    0x40: "hardware_thermal",
    0x80: "power_brake",
}

# A serving engine, by ENGINE and ENGINE_ENDPOINT.
ENGINE: Final = "stanchion.engine.name"  # vllm | tgi | triton | trtllm | djl | sglang | llama.cpp
ENGINE_ENDPOINT: Final = "stanchion.engine.endpoint"  # host:port
ENGINE_MODEL: Final = "gen_ai.request.model"
TENSOR_PARALLEL: Final = "stanchion.engine.tensor_parallel"  # cards that hold one copy, where its command line says
ENGINE_UP: Final = "stanchion.engine.up"  # 1 when the last reading succeeded, else 0
RUNNING: Final = "stanchion.engine.requests.running"  # {request}
WAITING: Final = "stanchion.engine.requests.waiting"  # {request}
KV_CACHE_USE: Final = "stanchion.engine.kv_cache.utilization"  # 1
KV_CACHE_TOKENS: Final = "stanchion.engine.kv_cache.tokens"  # {token}: held now
KV_CACHE_CAPACITY: Final = "stanchion.engine.kv_cache.capacity"  # {token}: of all ranks together
BATCH_SIZE: Final = "stanchion.engine.batch.size"  # {request}
PREEMPTIONS: Final = "stanchion.engine.preemptions"  # {preemption}: counter
PREFIX_QUERIES: Final = "stanchion.engine.prefix_cache.queries"  # {token}: counter
PREFIX_HITS: Final = "stanchion.engine.prefix_cache.hits"  # {token}: counter
PREFIX_HIT_RATE: Final = "stanchion.engine.prefix_cache.hit_rate"  # 1: where an engine has no counters
PROMPT_TOKENS: Final = "stanchion.engine.tokens.prompt"  # {token}: counter
GENERATED_TOKENS: Final = "stanchion.engine.tokens.generated"  # {token}: counter
TOKENS_PER_S: Final = "stanchion.engine.tokens.rate"  # {token}/s: where an engine has no counters
REQUESTS: Final = "stanchion.engine.requests"  # {request}: counter of finished ones
TTFT: Final = "stanchion.engine.time_to_first_token"  # s: histogram with explicit bounds
TIME_PER_TOKEN: Final = "stanchion.engine.time_per_output_token"  # noqa: S105 (no password) s: histogram
REQUEST_DURATION: Final = "stanchion.engine.request.duration"  # s: histogram
QUEUE_DURATION: Final = "stanchion.engine.queue.duration"  # s: histogram

# The host and the agent.
HOST_CPU: Final = "system.cpu.utilization"  # 1, all cores
HOST_MEMORY_USAGE: Final = "system.memory.usage"  # By
HOST_MEMORY_LIMIT: Final = "system.memory.limit"  # By
AGENT_UP: Final = "stanchion.agent.up"  # 1 in every export: the heartbeat
AGENT_GPUS: Final = "stanchion.agent.gpus"  # {gpu}: cards that answered
AGENT_DROPPED: Final = "stanchion.agent.dropped"  # {point}: counter of points given up
AGENT_ERRORS: Final = (
    "stanchion.agent.read.errors"  # {error}: counter of failed readings, by ERROR_TYPE gpu|engine|late
)
AGENT_SPOOLED: Final = "stanchion.agent.spooled"  # By waiting on disk

# The resource that the agent names itself with.
SERVICE_NAME: Final = "stanchion-gpu-agent"
