"""The page names what is sent, and the samples beside the source set what the agent knows."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
import yaml

from stanchion_gpu import points, settings

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "gpu-agent.md").read_text()


def named() -> set[str]:
    """Names in code marks, with each `.tail` put to every stem of the names on its line."""
    found: set[str] = set()
    for line in PAGE.splitlines():
        marks = re.findall(r"`([^`]+)`", line)
        found |= set(marks)
        whole = [mark.split(".") for mark in marks if not mark.startswith(".")]
        stems = {".".join(parts[:length]) for parts in whole for length in range(1, len(parts) + 1)}
        found |= {stem + mark for mark in marks for stem in stems if mark.startswith(".")}
    return found


@pytest.mark.parametrize("metric", points.UNITS)
def test_the_page_names_every_metric(metric: str) -> None:
    assert metric in named()


@pytest.mark.parametrize("setting", [one.name for one in dataclasses.fields(settings.Settings)])
def test_the_page_names_every_setting(setting: str) -> None:
    assert f"`{setting}`" in PAGE


def test_the_pages_example_is_a_file_that_the_agent_takes(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    file = tmp_path / "agent.toml"
    file.write_text(example)
    assert settings.read(file, {}).engines[0].kind == "vllm"


def test_the_daemonset_sets_only_what_the_agent_knows() -> None:
    (container,) = yaml.safe_load((ROOT / "gpu_agent" / "daemonset.yaml").read_text())["spec"]["template"]["spec"][
        "containers"
    ]
    told = {one["name"]: one.get("value", "x") for one in container["env"]}
    assert settings.read(None, told).url == "http://stanchion.example:8000/v1/metrics"
