"""The addresses of the API, mounted under `api/`."""

from __future__ import annotations

from django.urls import path
from drf_spectacular.views import SpectacularAPIView

from stanchion_server.web.api import calls, feedback, intake, metrics, prices, traces

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
    path("v1/ingest/health", intake.IngestHealth.as_view(), name="api-ingest-health"),
    path("v1/feedback", feedback.Feedback.as_view(), name="api-feedback"),
    path("v1/prices", prices.Prices.as_view(), name="api-prices"),
]
