"""The traps of the top-level folders' names."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("platform", "collectors", "guardrails", "gpu_agent")


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_source_root_is_not_a_package(folder: str) -> None:
    assert not (ROOT / folder / "__init__.py").exists()
    assert not (ROOT / folder / "src" / "__init__.py").exists()
    assert (ROOT / folder / "pyproject.toml").is_file()


def test_platform_is_the_standard_librarys() -> None:
    assert Path(platform.__file__).parent == Path(sysconfig.get_path("stdlib"))


def test_guardrails_is_absent_or_the_real_one() -> None:
    spec = importlib.util.find_spec("guardrails")
    if spec is not None:
        importlib.metadata.distribution("guardrails-ai")
        assert spec.origin is not None and "site-packages" in spec.origin


@pytest.mark.parametrize("lock", sorted((ROOT / "requirements").glob("**/*.lock")), ids=lambda path: path.name)
def test_a_lock_pins_versions_and_names_no_registry(lock: Path) -> None:
    for line in lock.read_text().splitlines():
        requirement = line.partition("#")[0].strip()
        assert "://" not in line and "--" not in requirement, line
        assert not requirement or "==" in requirement, line


def test_everything_in_the_core_lock_is_in_the_dev_lock_at_the_same_version() -> None:
    core, dev = ((ROOT / "requirements" / f"{name}.lock").read_text().splitlines() for name in ("core", "dev"))
    pins = {line.split(" ")[0] for line in dev}
    assert {line.split(" ")[0] for line in core} <= pins
