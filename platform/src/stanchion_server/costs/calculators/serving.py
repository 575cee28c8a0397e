"""How to begin with a serving engine, and how large the space of its settings is. Pure.

The starting points are those published for the large-model containers of Amazon SageMaker in 2023.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from stanchion_server.costs.calculators.fields import Field, Values, choice, whole
from stanchion_server.costs.calculators.results import Calculator, Printed, Result, line, share

LONG_TOKENS = 1_024
LLAMA_LIKE = ("Falcon", "Llama 2", "Code Llama")
OTHERS = ("T5", "MPT", "GPT-NeoX", "StarCoder", "Baichuan", "Mistral")
Setting = str | int | bool | None


@dataclass(frozen=True, slots=True)
class Start:
    container: str
    properties: Mapping[str, Setting]


def start(family: str, output_tokens: int) -> Start | None:
    """None where nothing is published: other families, and exactly LONG_TOKENS for Llama and its like."""
    if family in OTHERS:
        settings = {"engine": "Python", "option.tensor_parallel_degree": "max", "option.rolling_batch": "vllm"}
        return Start("DeepSpeed container with vLLM", settings)
    if family not in LLAMA_LIKE or output_tokens == LONG_TOKENS:
        return None
    if output_tokens > LONG_TOKENS:
        settings = {"engine": "MPI", "option.tensor_parallel_degree": "max", "option.rolling_batch": "lmi-dist"}
        return Start("DeepSpeed container with LMI-Dist", settings)
    return Start("TensorRT-LLM container", {"engine": "MPI"})


def rendered(properties: Mapping[str, Setting]) -> str:
    """One key=value per line: False is written, None is left out."""
    return "\n".join(f"{name}={value}" for name, value in properties.items() if value is not None)


def problems(properties: Mapping[str, Setting]) -> tuple[str, ...]:
    """What cannot work together. Names may carry `option.` or not."""
    bare = {name.removeprefix("option."): value for name, value in properties.items()}
    found = []
    if _is_true(bare.get("load_in_4bit")) and _is_true(bare.get("load_in_8bit")):
        found.append("load_in_4bit and load_in_8bit exclude each other: set one of them.")
    if bare.get("engine") == "FasterTransformer" and "llama" in str(bare.get("model_id", "")).lower():
        found.append("FasterTransformer does not serve Llama: use MPI or Python.")
    device_map = bare.get("device_map")
    if isinstance(device_map, str) and device_map != device_map.lower():
        found.append(f"device_map={device_map} is not known: write {device_map.lower()}.")
    return tuple(found)


def parsed(text: str) -> dict[str, Setting]:
    """Of a serving.properties file; lines without a key and comments are left out, the last of two alike counts."""
    lines = [line.strip() for line in text.splitlines()]
    pairs = [line.partition("=") for line in lines if line and not line.startswith("#")]
    return {key.strip(): value.strip() for key, separator, value in pairs if separator and key.strip()}


def _is_true(value: Setting) -> bool:
    return str(value).lower() == "true"


def combinations(engines: Sequence[Sequence[int]], shared: Sequence[int]) -> int:
    """Settings of each engine multiply, engines add up, and what all share multiplies the sum."""
    return sum(math.prod(sizes) for sizes in engines) * math.prod(shared)


def _start(values: Values) -> Result:
    found = start(values.text("family"), values.whole("output_tokens"))
    if found is None:
        note = "Nothing is published for this family and length: try the settings of a neighbour and measure."
        return Result((line("container", "Begin with", None, "", "published decision table"),), (), (note,))
    return Result(
        (
            line(
                "container", "Begin with", found.container, "", "published decision table, by family and output length"
            ),
            line("properties", "serving.properties", rendered(found.properties), "", "one key=value per line"),
        )
    )


def _check(values: Values) -> Result:
    properties = parsed(values.text("properties"))
    found = problems(properties)
    lines = (
        line("problems", "Cannot work together", len(found), "", "known contradictions"),
        line("settings", "Settings read", len(properties), "", "lines with key=value"),
        line("properties", "serving.properties", rendered(properties), "", "one key=value per line"),
    )
    return Result(lines, (), found)


def _space(values: Values) -> Result:
    engines = [[int(one or 0) for one in row.numbers] for row in values.rows("engines")]
    shared = [int(one or 0) for row in values.rows("shared") for one in row.numbers]
    total = combinations(engines, shared)
    return Result(
        (
            line(
                "combinations",
                "Combinations",
                Decimal(total),
                "",
                "sum over engines of the product of their choices × product of the shared ones",
            ),
            line(
                "covered_ratio",
                "Covered by the trials",
                share(values.whole("trials"), total),
                "%",
                "trials / combinations",
            ),
        )
    )


SERVING = Calculator(
    "serving-start",
    "Serving engine: where to begin",
    "Capacity",
    "Which container and settings are a good start?",
    (
        choice("family", "Model family", "Llama 2", (*LLAMA_LIKE, *OTHERS, "another")),
        whole("output_tokens", "Output tokens, at most", 512, 10_000_000, low=1),
    ),
    _start,
    ("Published for Amazon SageMaker's large-model containers in 2023; engines change by the month: measure.",),
)
SPACE = Calculator(
    "search-space",
    "Search space of settings",
    "Capacity",
    "How many combinations are there, and what do trials cover?",
    (
        Field(
            "engines",
            "Choices per engine",
            "rows",
            "1/2/3/6, 2, 4, 2",
            Decimal(1),
            Decimal(1_000),
            cells=0,
            is_whole=True,
            hint="choices of each setting, by /; engines by comma",
        ),
        Field(
            "shared",
            "Choices of shared settings",
            "rows",
            "3/3/2/2/2/6/5/2",
            Decimal(1),
            Decimal(1_000),
            cells=0,
            most_rows=1,
            is_whole=True,
        ),
        whole("trials", "Trials", 100, 1_000_000_000),
    ),
    _space,
    (),
    (Printed("Combinations of the published search space", "thousands", "190,080", False, "(36 + 2 + 4 + 2) × 4,320"),),
)
CHECK = Calculator(
    "serving-properties",
    "Serving engine: settings checked",
    "Capacity",
    "Do the settings of a serving.properties file contradict each other?",
    (
        Field(
            "properties",
            "serving.properties",
            "text",
            "engine=MPI\noption.rolling_batch=auto\noption.load_in_4bit=true\noption.load_in_8bit=true",
            hint="one key=value per line",
        ),
    ),
    _check,
    ("Only known contradictions are found; the engine has the last word.",),
)
