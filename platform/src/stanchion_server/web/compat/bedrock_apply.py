"""Bedrock's `ApplyGuardrail`: a stock boto3 client judged by our policies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpResponse, JsonResponse

from stanchion_guard import summary
from stanchion_guard.records import Part, Stage, Subject
from stanchion_server.kernel.errors import SenderError
from stanchion_server.policies import asking
from stanchion_server.policies.engine import Checked, Judgement, Manner
from stanchion_server.policies.models import Policy, Switch
from stanchion_server.routes import guard_check, guard_version
from stanchion_server.tenants.models import Scope
from stanchion_server.web.compat import bedrock, bedrock_assess, door
from stanchion_server.web.compat.bedrock_assess import Assessed
from stanchion_server.web.compat.door import Asker, bad

_QUALIFIERS = frozenset({"grounding_source", "query", "guard_content"})
_SOURCES: Mapping[object, Stage] = {"INPUT": "input", "OUTPUT": "output"}
_SCOPES = frozenset({"INTERVENTIONS", "FULL"})
_FIELDS = frozenset({"source", "content", "outputScope"})
_MESSAGE = "Blocked by a guardrail."


@dataclass(frozen=True, slots=True)
class Content:
    """`guarded` are the parts that were sent to be judged; `judged` adds the grounding sources, for which a policy may
    have rules of their own."""

    subject: Subject
    guarded: tuple[int, ...]
    judged: tuple[int, ...]

    @property
    def characters(self) -> int:
        return sum(len(part.text) for part in self.subject.parts)


def apply(asker: Asker, identifier: str, version: str) -> HttpResponse:
    content = read(asker.body)
    is_full = asker.body.get("outputScope") == "FULL"
    name, wanted = bedrock.name_in(identifier), bedrock.version_in(version)
    policy = bedrock.policy_named(asker.project_id, name)
    checked = _check(asker, policy, name, wanted, content)
    return JsonResponse(_answer(asker, policy, checked, content, is_full=is_full))


def read(body: Mapping[str, Any]) -> Content:
    """SenderError for anything that would go unchecked: an image, an unknown field, an unknown qualifier."""
    if unknown := sorted(set(body) - _FIELDS):
        raise SenderError("unknown_field", f"There is no field “{asking.whole(unknown[0])[:60]}” here.")
    source, rows = body.get("source"), body.get("content")
    if not isinstance(source, str) or source not in _SOURCES:
        raise bad("`source`", "INPUT or OUTPUT")
    scope = body.get("outputScope", "INTERVENTIONS")
    if not isinstance(scope, str) or scope not in _SCOPES:
        raise bad("`outputScope`", "INTERVENTIONS or FULL")
    if not isinstance(rows, list):
        raise bad("`content`", "a list of blocks")
    return _content(_SOURCES[source], [_block(row) for row in rows])


def _block(row: object) -> tuple[str, frozenset[str]]:
    if not isinstance(row, Mapping) or set(row) != {"text"} or not isinstance(row["text"], Mapping):
        raise bad("Every block of `content`", "a text: images are not checked here")
    text, qualifiers = row["text"], row["text"].get("qualifiers") or []
    if unknown := sorted(set(text) - {"text", "qualifiers"}):
        raise SenderError("unknown_field", f"There is no field “{asking.whole(unknown[0])[:60]}” in a text.")
    if not isinstance(text.get("text"), str):
        raise bad("`text.text`", "a text")
    if not isinstance(qualifiers, list) or not all(isinstance(one, str) and one in _QUALIFIERS for one in qualifiers):
        raise bad("`qualifiers`", f"some of {', '.join(sorted(_QUALIFIERS))}")
    return asking.whole(text["text"]), frozenset(qualifiers)


def _content(stage: Stage, blocks: Sequence[tuple[str, frozenset[str]]]) -> Content:
    """Where no block is to be guarded, all are."""
    is_any = any(_is_guarded(qualifiers) for _, qualifiers in blocks)
    parts: list[Part] = []
    guarded: list[int] = []
    for text, qualifiers in blocks:
        parts += _background(text, qualifiers)
        if _is_guarded(qualifiers) or not is_any:
            guarded.append(len(parts))
            parts.append(Part(stage, text, role="user" if stage == "input" else "assistant"))
    subject = Subject(asking.bounded(tuple(parts)))
    judged = [index for index, part in enumerate(parts) if index in guarded or part.stage == "retrieved"]
    return Content(subject, tuple(guarded), tuple(judged))


def _is_guarded(qualifiers: frozenset[str]) -> bool:
    return not qualifiers or "guard_content" in qualifiers


def _background(text: str, qualifiers: frozenset[str]) -> Iterator[Part]:
    if "grounding_source" in qualifiers:
        yield Part("retrieved", text, name="grounding_source")
    if "query" in qualifiers:
        yield Part("input", text, role="user", name="query")


def _check(asker: Asker, policy: Policy | None, name: str, version: str, content: Content) -> Checked:
    origin, manner = door.origin("bedrock"), Manner(content.judged)
    if policy is None and version:
        raise bedrock.not_found(name)
    if policy and not version and policy.live is None and policy.switch == Switch.ON:
        raise SenderError("nothing_in_force", f"“{policy.name}” has no live version: send a `guardrailVersion`.")
    if policy is None or not version:
        asked = policy.name if policy else name
        return guard_check.check(asker.caller, asked, content.subject, origin, manner)
    return guard_version.check(asker.caller, policy, version, content.subject, origin, manner)


def _answer(
    asker: Asker, policy: Policy | None, checked: Checked, content: Content, *, is_full: bool
) -> dict[str, Any]:
    intervened = checked.verdict.blocked or checked.verdict.action == "redact"
    units = bedrock_assess.usage((one.verdict for one in checked.judged), content.characters)
    return {
        "usage": units | {"contentPolicyImageUnits": 0, "automatedReasoningPolicyUnits": 0},
        "action": "GUARDRAIL_INTERVENED" if intervened else "NONE",
        "actionReason": _reason(checked),
        "outputs": [{"text": text} for text in _outputs(checked, content)],
        "assessments": [_assessment(asker, policy, one, content, is_full=is_full) for one in checked.judged],
        "guardrailCoverage": {"textCharacters": _coverage(checked, content)},
        "stanchion": summary.answer(checked.verdict, content.subject),
    }


def _reason(checked: Checked) -> str:
    if checked.verdict.blocked:
        return "Guardrail blocked."
    return "Guardrail masked." if checked.verdict.action == "redact" else "No action."


def _outputs(checked: Checked, content: Content) -> list[str]:
    """The message instead of everything, the guarded texts after masking, or nothing."""
    if checked.verdict.blocked:
        return [checked.verdict.message or _MESSAGE]
    if checked.verdict.action != "redact":
        return []
    return [checked.verdict.texts[index] for index in content.guarded]


def _coverage(checked: Checked, content: Content) -> dict[str, int]:
    return {"guarded": checked.verdict.coverage.guarded_characters, "total": content.characters}


def _assessment(
    asker: Asker, policy: Policy | None, judged: Judgement, content: Content, *, is_full: bool
) -> dict[str, Any]:
    guard = guard_version.behind(asker.project_id, judged, policy)
    compiled = guard.policy if guard else None
    found = bedrock_assess.assessment(Assessed(judged.verdict, content.subject.parts, compiled, is_full))
    coverage = judged.verdict.coverage
    metrics = {
        "guardrailProcessingLatency": -(-judged.verdict.elapsed_us // 1000),
        "usage": bedrock_assess.usage((judged.verdict,), content.characters),
        "guardrailCoverage": {"textCharacters": {"guarded": coverage.guarded_characters, "total": content.characters}},
    }
    return {**found, "invocationMetrics": metrics, "appliedGuardrailDetails": _details(asker, policy, judged)}


def _details(asker: Asker, policy: Policy | None, judged: Judgement) -> dict[str, Any]:
    is_asked = policy is None or judged.policy == policy.name
    identifier = bedrock.identifier_of(policy) if policy and is_asked else judged.policy
    return {
        "guardrailId": identifier,
        "guardrailVersion": judged.verdict.policy_version or "DRAFT",
        "guardrailArn": bedrock.arn_of(asker.project_id, identifier),
        "guardrailOrigin": ["REQUEST" if is_asked else "ACCOUNT_ENFORCED"],
        "guardrailOwnership": "SELF",
    }


applied = door.view(bedrock.failure, {"POST": (Scope.GUARD, apply)})
