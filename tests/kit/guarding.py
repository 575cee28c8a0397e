"""Policies for tests: short, and sure in what they find."""

from __future__ import annotations

from stanchion_server.policies import engine, services
from stanchion_server.policies.models import Policy
from stanchion_server.tenants.models import Project

CANARY = "zebra-42-canary"


def document(word: str = CANARY, action: str = "block", tests: str = "") -> str:
    return f"""policy: chat
version: 1
defaults: {{when_late: block, when_failed: block}}
rules:
  - id: canary
    stages: [input, output, retrieved, tool_call, tool_result]
    detector: canary
    parameters: {{words: [{word}]}}
    action: {action}
    message: That cannot be said here.
{tests}"""


def policy_in_force(project: Project, name: str = "chat", *documents: str) -> Policy:
    """A policy whose versions are the documents, the first of them live."""
    engine.forget_everything()
    policy = services.create(project, name, "", "tester")
    for text in documents or (document(),):
        services.save_draft(project.pk, policy.pk, text, "tester")
        services.publish(project.pk, policy.pk, "tester")
    return services.set_live(project.pk, policy.pk, 1, "tester")
