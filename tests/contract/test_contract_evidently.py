"""The real Evidently, in an environment of its own, makes the page of a run: alone, bounded, without a connection."""

from __future__ import annotations

import json
import random
import re
from datetime import timedelta

import numpy as np
import pytest

from kit import drifting, traffic
from kit.client_envs import python_of, run_app
from kit.drifting import Traffic
from stanchion_server.drift import reports, runs, selectors, services
from stanchion_server.drift.models import DriftReport
from stanchion_server.drift.records import Sample
from stanchion_server.kernel import clock
from stanchion_server.tenants import services as tenants

pytestmark = [pytest.mark.slow, pytest.mark.clients]


def sample(count: int = 120) -> Sample:
    """Half of it current, slower, with hostile names of models and users that must not travel."""
    draw = random.Random(1)
    now = np.arange(count) >= count // 2
    return Sample(
        keys=(),
        is_current=now,
        blocks=np.arange(count),
        numbers={
            "latency_ms": [draw.lognormvariate(1.0 if flag else 0.0, 0.3) for flag in now],
            "ttft_ms": [None] * count,
        },
        labels={
            "model": [traffic.HOSTILE if place % 3 else "gpt-4o" for place in range(count)],
            "user_id": ["u-17"] * count,
        },
        words={"prompt": [("secretword",)] * count},
        scores={"toxicity": [draw.random() for _flag in now]},
    )


def rows(one: Sample | None = None) -> bytes:
    return json.dumps(reports.rows_of(one or sample())).encode()


def test_only_scalar_columns_leave_and_no_name_opens_a_tag() -> None:
    text = rows().decode()
    assert "u-17" not in text and "secretword" not in text and "<" not in text
    assert {"latency_ms", "model", "score:toxicity"} <= set(json.loads(text)["reference"])


@pytest.fixture
def real(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if Evidently were installed beside us: the product looks for a package and starts this interpreter."""
    monkeypatch.setattr(reports, "PYTHON", str(python_of("evidently")))
    monkeypatch.setattr(reports, "PACKAGE", "django")


@pytest.mark.django_db
def test_a_run_gets_a_page_that_is_whole_in_itself(real: None) -> None:
    project = tenants.create_project(tenants.create_organisation("Acme"), "Shop")
    now = clock.now()
    drifting.store(project.pk, drifting.calls(now - timedelta(hours=71), now - timedelta(hours=24), 80, 1))
    hostile = Traffic(models=(traffic.HOSTILE[:120],), latency_ratio=3)
    drifting.store(project.pk, drifting.calls(now - timedelta(hours=24), now, 60, 2, hostile))
    monitor = services.create(project, services.Wanted("daily", reference_hours=48), "ada")
    run = services.run_now(project.pk, monitor.pk, "ada")
    assert runs.step() and reports.step() and not reports.step()
    report = DriftReport.objects.get(run=run)
    assert (report.state, report.reason, report.rows) == ("ready", "", None)
    html = selectors.report_html(project.pk, run.pk)
    assert html is not None and len(html) == report.html_bytes
    page = html.decode()
    assert "Dataset Drift" in page and "latency_ms" in page
    assert not re.findall(r"""<(?:script|link|img|iframe)[^>]+(?:src|href)=["']https?:""", page)
    assert "<script>alert('stanchion')" not in page
    assert selectors.report_html(project.pk + 1, run.pk) is None


def test_evidently_asks_nobody_for_anything() -> None:
    run_app("evidently", "evidently_app.py", str(reports.SCRIPT), variables={"DO_NOT_TRACK": "1"})


def test_a_process_that_fails_says_why(real: None) -> None:
    with pytest.raises(reports.NotMade, match="JSONDecodeError"):
        reports.make(b"no rows")


def test_a_process_that_takes_too_long_or_too_much_is_ended(real: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "TIME_LIMIT_S", 0.2)
    with pytest.raises(reports.NotMade, match=r"longer than 0\.2 s"):
        reports.make(rows())
    monkeypatch.setattr(reports, "TIME_LIMIT_S", 60)
    monkeypatch.setattr(reports, "MEMORY_LIMIT_BYTES", 60 << 20)
    with pytest.raises(reports.NotMade, match="Evidently ended with"):
        reports.make(rows())
