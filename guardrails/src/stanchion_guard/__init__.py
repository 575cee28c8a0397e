"""Guardrails for language models: a policy, an engine that runs it, verdicts that say what was checked."""

from stanchion_guard.engine import Guard
from stanchion_guard.policy import Policy, PolicyError, load, named
from stanchion_guard.records import Part, Subject, Usage, Verdict
from stanchion_guard.redaction import Vault

__all__ = ["Guard", "Part", "Policy", "PolicyError", "Subject", "Usage", "Vault", "Verdict", "load", "named"]
