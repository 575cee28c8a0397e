"""The addresses of the API, mounted under `api/`."""

from __future__ import annotations

from django.urls import path
from drf_spectacular.views import SpectacularAPIView

from stanchion_server.web.api import (
    calls,
    decisions,
    drift,
    feedback,
    guard,
    intake,
    me,
    metrics,
    policies,
    prices,
    scorers,
    scores,
    traces,
)

urlpatterns = [
    path("schema/", SpectacularAPIView.as_view(authentication_classes=[], permission_classes=[]), name="api-schema"),
    path("v1/calls", calls.Calls.as_view(), name="api-calls"),
    path("v1/calls/<str:trace_id>/<str:span_id>", calls.Call.as_view(), name="api-call"),
    path("v1/traces", traces.Traces.as_view(), name="api-traces"),
    path("v1/traces/<str:trace_id>", traces.Trace.as_view(), name="api-trace"),
    path("v1/traces/<str:trace_id>/<str:span_id>", traces.SpanContent.as_view(), name="api-span"),
    path("v1/metrics", metrics.Metrics.as_view(), name="api-metrics"),
    path("v1/facets", metrics.Facets.as_view(), name="api-facets"),
    path("v1/radar", metrics.Radar.as_view(), name="api-radar"),
    path("v1/me", me.Me.as_view(), name="api-me"),
    path("v1/ingest/health", intake.IngestHealth.as_view(), name="api-ingest-health"),
    path("v1/feedback", feedback.Feedback.as_view(), name="api-feedback"),
    path("v1/policies", policies.Policies.as_view(), name="api-policies"),
    path("v1/policies/<str:name>", policies.OnePolicy.as_view(), name="api-policy"),
    path("v1/policies/<str:name>/draft", policies.Draft.as_view(), name="api-policy-draft"),
    path("v1/policies/<str:name>/versions", policies.Versions.as_view(), name="api-policy-versions"),
    path("v1/policies/<str:name>/rollout", policies.Force.as_view(), name="api-policy-rollout"),
    path("v1/policies/<str:name>/bundle", policies.Bundle.as_view(), name="api-policy-bundle"),
    path("v1/policies/<str:name>/backtests", decisions.Backtests.as_view(), name="api-backtests"),
    path("v1/policies/<str:name>/backtests/<int:number>", decisions.OneBacktest.as_view(), name="api-backtest"),
    path("v1/decisions", decisions.Decisions.as_view(), name="api-decisions"),
    path("v1/decisions/effects", decisions.Effects.as_view(), name="api-effects"),
    path("v1/decisions/<str:check_id>/review", decisions.Review.as_view(), name="api-review"),
    path("v1/guard/check", guard.Check.as_view(), name="api-guard-check"),
    path("v1/drift/anomalies", drift.Anomalies.as_view(), name="api-drift-anomalies"),
    path("v1/drift/monitors", drift.Monitors.as_view(), name="api-drift-monitors"),
    path("v1/drift/monitors/<int:number>", drift.OneMonitor.as_view(), name="api-drift-monitor"),
    path("v1/drift/monitors/<int:number>/runs", drift.RunNow.as_view(), name="api-drift-run-now"),
    path("v1/drift/runs", drift.Runs.as_view(), name="api-drift-runs"),
    path("v1/drift/runs/<int:number>", drift.OneRun.as_view(), name="api-drift-run"),
    path("v1/drift/runs/<int:number>/retry", drift.Retry.as_view(), name="api-drift-retry"),
    path("v1/drift/runs/<int:number>/report", drift.Report.as_view(), name="api-drift-report"),
    path("v1/scores", scores.Scores.as_view(), name="api-scores"),
    path("v1/scores/distributions", scores.Distributions.as_view(), name="api-score-distributions"),
    path("v1/scorers", scorers.Scorers.as_view(), name="api-scorers"),
    path("v1/scorers/<str:name>/rule", scorers.OneScorer.as_view(), name="api-scorer-rule"),
    path("v1/scoring/queue", scores.Queue.as_view(), name="api-scoring-queue"),
    path("v1/scoring/quarantine", scores.Quarantine.as_view(), name="api-quarantine"),
    path("v1/prices", prices.Prices.as_view(), name="api-prices"),
]
