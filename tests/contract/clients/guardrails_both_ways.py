"""Our detectors in guardrails-ai and its validators in our policies, with every way out of the process closed."""

import os
import socket
import sys


def closed(*_args: object, **_kwargs: object) -> None:
    opened.append(1)
    raise OSError("no network in this test")


opened: list[int] = []
sys.modules["guardrails_both_ways"] = sys.modules[__name__]
sys.path.insert(0, sys.argv[1])
os.environ["OTEL_SDK_DISABLED"] = "true"  # guardrails-ai's Guard exports traces whatever its own setting says
os.environ["STANCHION_GUARD_VALIDATORS"] = "guardrails_both_ways:NoPears"
socket.socket.connect = closed  # type: ignore[method-assign,assignment]
socket.getaddrinfo = closed  # type: ignore[assignment]

from guardrails import Guard  # noqa: E402
from guardrails.classes.validation.validation_result import ErrorSpan  # noqa: E402
from guardrails.settings import settings  # noqa: E402
from guardrails.validators import FailResult, PassResult, Validator, register_validator  # noqa: E402

from stanchion_guard import Guard as OurGuard  # noqa: E402
from stanchion_guard import load  # noqa: E402
from stanchion_guard.for_guardrails_ai import StanchionGuard  # noqa: E402


@register_validator(name="test/no_pears", data_type="string")
class NoPears(Validator):  # type: ignore[misc]
    def __init__(self, fruit: str = "pear", on_fail: object = None) -> None:
        super().__init__(on_fail=on_fail, fruit=fruit)
        self.fruit = fruit

    def _validate(self, value: str, metadata: dict) -> object:  # type: ignore[type-arg]
        at = value.find(self.fruit)
        if at < 0:
            return PassResult()
        span = ErrorSpan(start=at, end=at + len(self.fruit), reason="a fruit")
        return FailResult(error_message="fruit", fix_value=value.replace(self.fruit, "apple"), error_spans=[span])


def theirs_in_ours() -> None:
    rule = {"id": "pears", "stages": ["input"], "detector": "guardrails_ai", "action": "redact"}
    rule |= {"parameters": {"validator": "guardrails_both_ways:NoPears", "arguments": {"fruit": "pear"}}}
    rule |= {"when_late": "block", "when_failed": "block"}
    guard = OurGuard(load({"policy": "p", "version": "1", "deadline_ms": 20000, "rules": [rule]}))
    verdict = guard.check("one pear, please")
    assert verdict.texts[0] == "one apple, please", verdict
    assert [(one.start, one.end) for one in verdict.findings] == [(4, 8)], verdict
    assert guard.check("one plum, please").action == "allow"


def ours_in_theirs() -> None:
    outcome = Guard().use(StanchionGuard(policy="default", on_fail="fix")).validate("Write to ann.lee@example.org")
    assert outcome.validated_output == "Write to [EMAIL]", outcome
    noop = Guard().use(StanchionGuard(policy="default", on_fail="noop"))
    failed = noop.validate("Write to ann.lee@example.org")
    assert failed.validation_passed is False, failed
    spans = [(span.start, span.end) for summary in failed.validation_summaries for span in summary.error_spans]
    assert (9, 28) in spans, spans
    assert noop.validate("Good morning to you all.").validation_passed is True


if __name__ == "__main__":
    settings.rc.enable_metrics = True  # building the detector turns it off
    theirs_in_ours()
    assert settings.rc.enable_metrics is False
    assert not opened, "a connection was tried"
    ours_in_theirs()
    assert not opened, "a connection was tried"
