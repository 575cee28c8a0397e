"""What all of Bedrock's guardrail addresses share: identifiers, versions, and errors as botocore reads them."""

from __future__ import annotations

from collections.abc import Mapping

from django.http import HttpResponse, JsonResponse

from stanchion_server.kernel import db
from stanchion_server.kernel.errors import SenderError
from stanchion_server.policies import engine, selectors
from stanchion_server.policies.models import Policy

_TYPES: Mapping[int, str] = {
    401: "AccessDeniedException", 403: "AccessDeniedException", 404: "ResourceNotFoundException",
    409: "ConflictException", 429: "ThrottlingException", 503: "ServiceUnavailableException",
}  # fmt: skip
_STATUSES: Mapping[int, int] = {401: 403, 405: 400, 413: 400, 422: 400}
"""Botocore's model of the service knows no others."""
_MAX_NUMBER = 2**31 - 1
_PREFIX = "gr"


def failure(status: int, code: str, message: str) -> HttpResponse:
    kind = "ServiceQuotaExceededException" if code in ("too_large", "too_many_policies") else "ValidationException"
    response = JsonResponse({"message": message}, status=_STATUSES.get(status, status))
    response["x-amzn-ErrorType"] = _TYPES.get(status, kind)
    return response


def identifier_of(policy: Policy) -> str:
    return f"{_PREFIX}{policy.pk:010d}"


def arn_of(project_id: int, identifier: str) -> str:
    """In the form that AWS's clients take for one; region and account mean nothing here."""
    return f"arn:aws:bedrock:us-east-1:{project_id:012d}:guardrail/{identifier}"


def name_in(identifier: str) -> str:
    """The last part of an ARN, or the identifier itself. SenderError 404 for what can be no policy's name."""
    name = identifier.rsplit("/", 1)[-1]
    if not engine.is_name(name):
        raise not_found(identifier)
    return name


def policy_named(project_id: int, name: str) -> Policy | None:
    """By the policy's name, else by the identifier that was given out for it."""
    with db.away_is_unavailable():
        found = selectors.policy(project_id, name)
        digits = name.removeprefix(_PREFIX)
        if found is not None or digits == name or not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
            return found
        return Policy.objects.filter(project_id=project_id, pk=int(digits), archived_at=None).first()


def not_found(identifier: str) -> SenderError:
    return SenderError("policy_not_found", f"Your project has no guardrail “{identifier[:80]}”.", 404)


def version_in(text: str) -> str:
    """`DRAFT`, a number without leading zeros, or empty for what is in force."""
    if text in ("", "DRAFT"):
        return text
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and 1 <= int(text) <= _MAX_NUMBER):
        raise SenderError("bad_version", f"“{text[:20]}” is no guardrail version: DRAFT, a number, or nothing.")
    return str(int(text))
