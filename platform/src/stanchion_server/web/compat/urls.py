"""The addresses of other people's formats. An ARN has a slash, which arrives decoded."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path, re_path

from stanchion_server.web.compat import bedrock_apply, bedrock_enforce, bedrock_manage, detectors, litellm, moderations

urlpatterns: list[URLPattern | URLResolver] = [
    path("openai/v1/moderations", moderations.moderations),
    path("litellm/beta/litellm_basic_guardrail_api", litellm.guardrail),
    path("detectors/", include(detectors.urlpatterns)),
    path("bedrock/guardrails", bedrock_manage.collection),
    path("bedrock/guardrails/<path:identifier>", bedrock_manage.single),
    path("bedrock/enforcedGuardrailsConfiguration", bedrock_enforce.collection),
    path("bedrock/enforcedGuardrailsConfiguration/<str:config_id>", bedrock_enforce.single),
    re_path(r"^bedrock/guardrail/(?P<identifier>.*)/version/(?P<version>[^/]*)/apply$", bedrock_apply.applied),
]
