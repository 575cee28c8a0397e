"""LiteLLM's own generic guardrail, as its proxy uses it."""

import asyncio
import sys

from litellm.exceptions import GuardrailRaisedException
from litellm.proxy.guardrails.guardrail_hooks.generic_guardrail_api.generic_guardrail_api import GenericGuardrailAPI


def made(key: str) -> GenericGuardrailAPI:
    return GenericGuardrailAPI(
        api_base=sys.argv[1],
        api_key=key,
        headers={"x-stanchion-policy": "chat"},
        guardrail_name="stanchion",
        event_hook="pre_call",
    )


async def main() -> None:
    guard = made(sys.argv[2])
    passed = await guard.apply_guardrail({"texts": ["hello"]}, {}, "request")
    print("told passed", passed["texts"])
    masked = await guard.apply_guardrail({"texts": ["mail a.b@example.org"]}, {}, "request")
    print("told masked", masked["texts"])
    try:
        await guard.apply_guardrail({"texts": [sys.argv[3]]}, {}, "request")
    except GuardrailRaisedException as error:
        print("told blocked", error.message)
    streamed = await guard.apply_guardrail({"texts": ["mail a.b@exam"]}, {}, "response")
    print("told held back", streamed["stream_holdback_chars"][0] > 0)
    try:
        await made("sk-wrong").apply_guardrail({"texts": ["hello"]}, {}, "request")
    except Exception:
        print("told refused")


asyncio.run(main())
