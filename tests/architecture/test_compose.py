"""The production files, as far as they can be judged without a container engine."""

from __future__ import annotations

import importlib.metadata
import re
import stat
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import get_commands

from stanchion_server.config import beat, celery, wsgi

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("stanchion")}
COLLECTOR: dict[str, Any] = yaml.safe_load((ROOT / "collectors" / "otelcol.yaml").read_text())


def commands() -> list[list[str]]:
    checks = [service["healthcheck"]["test"][1:] for service in OURS.values() if "healthcheck" in service]
    lines = [service["command"] for service in OURS.values()] + checks
    dockerfile = re.search(r"^CMD (\[.*\])$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert dockerfile is not None
    return [*lines, yaml.safe_load(dockerfile[1])]


def test_the_parts_are_there() -> None:
    assert set(OURS) == {"migrate", "web", "worker-ingest", "worker-score", "worker-heavy", "beat"}
    assert set(SERVICES) - set(OURS) == {"postgres", "valkey", "collector"}


@pytest.mark.parametrize("command", commands(), ids=lambda command: " ".join(command)[:60])
def test_every_command_exists(command: list[str]) -> None:
    program, *arguments = command
    if program == "python":
        if "django" in arguments:
            assert arguments[arguments.index("django") + 1] in get_commands()
        return
    scripts = {entry.name for entry in importlib.metadata.entry_points(group="console_scripts")}
    assert program in scripts
    locked = (ROOT / "requirements" / "core.lock").read_text()
    assert f"\n{program}==" in locked


def test_the_addresses_in_the_commands_are_importable() -> None:
    text = str(commands())
    assert wsgi.__name__ + ":application" in text and callable(wsgi.application)
    assert celery.__name__ in text and celery.app.main == "stanchion"
    assert beat.__name__ in text and beat.app.main == "stanchion"


QUEUES = {"default", "maintenance", "deliver", "score_fast", "score_slow"}


def test_the_workers_together_serve_every_queue() -> None:
    assert served(service["command"] for service in OURS.values()) == QUEUES


def test_the_workers_of_the_page_on_deployment_serve_every_queue() -> None:
    lines = (ROOT / "docs" / "deploy.md").read_text().splitlines()
    assert served(line.split() for line in lines if line.startswith("celery ")) == QUEUES


def served(found: Iterable[list[str]]) -> set[str]:
    lists = (command[command.index("--queues") + 1] for command in found if "--queues" in command)
    return {queue for each in lists for queue in each.split(",")}


@pytest.mark.parametrize("name", sorted(OURS))
def test_our_containers_run_without_root_and_cannot_write(name: str) -> None:
    service = OURS[name]
    assert int(service["user"].split(":")[0]) > 0
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]


@pytest.mark.parametrize("name", sorted(set(SERVICES) - {"migrate", "collector"}))
def test_every_lasting_service_has_a_health_check(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"]


def test_dependencies_name_services_and_a_condition_that_can_come_true() -> None:
    for service in SERVICES.values():
        for needed, how in service.get("depends_on", {}).items():
            target = SERVICES[needed]
            assert how["condition"] in ("service_healthy", "service_completed_successfully")
            assert how["condition"] != "service_healthy" or "healthcheck" in target


def test_no_secret_has_a_default() -> None:
    for name in ("POSTGRES_PASSWORD", "VALKEY_PASSWORD", "STANCHION_SECRET_KEY"):
        assert set(re.findall(r"(?<!\$)\$\{" + name + r"(?![A-Z_])(.*?)\}", TEXT)) == {":?run script/secrets first"}


def test_generated_secrets_fill_every_variable_and_are_private(tmp_path: Path) -> None:
    (tmp_path / "script").mkdir()
    script = tmp_path / "script" / "secrets"
    script.write_text((ROOT / "script" / "secrets").read_text())
    subprocess.run(["sh", str(script)], check=True, capture_output=True)
    env_file = tmp_path / ".env"
    values = dict(line.split("=", 1) for line in env_file.read_text().splitlines())
    assert stat.S_IMODE(env_file.stat().st_mode) == 0o600
    assert set(re.findall(r"(?<!\$)\$\{(\w+):\?", TEXT)) <= set(values)
    assert len(values["STANCHION_SECRET_KEY"]) >= 50
    assert subprocess.run(["sh", str(script)], check=False, capture_output=True).returncode == 1


def test_the_image_holds_all_source_roots_and_ignores_the_rest() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = set(re.findall(r"^COPY (?!--from)(\S+) ", dockerfile, re.MULTILINE))
    assert copied == kept
    assert all((ROOT / path).exists() for path in copied)
    assert re.search(r"^USER \d+", dockerfile, re.MULTILINE)


def test_the_collectors_pipelines_use_only_what_is_defined() -> None:
    defined = {kind: set(COLLECTOR[kind]) for kind in ("receivers", "processors", "exporters")}
    for pipeline in COLLECTOR["service"]["pipelines"].values():
        for kind, names in defined.items():
            assert set(pipeline[kind]) <= names
        assert pipeline["processors"][0] == "memory_limiter"
    assert set(COLLECTOR["service"]["extensions"]) == set(COLLECTOR["extensions"])
    queue = COLLECTOR["exporters"]["otlphttp/stanchion"]["sending_queue"]
    assert queue["storage"] in COLLECTOR["extensions"]
