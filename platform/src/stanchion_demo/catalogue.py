"""The applications, the models they use and how these behave. Speeds are plausible, not measured."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from stanchion_demo.steps import App, Message, ModelCall, Usage
from stanchion_demo.words import tokens

SUPPORT = App("support-api", "support-bot", "POST /support/messages")
SUMMARIES = App("backoffice-jobs", "ticket-summary", "summarise ticket")
AGENT = App("order-agent", "order-agent", "order-agent", is_agent=True)
TRIAGE = App("backoffice-jobs", "review-triage", "classify review")
COPY = App("catalogue-studio", "product-copy", "draft product text")
DIGEST = App("backoffice-jobs", "review-digest", "digest reviews")
APPS = (SUPPORT, SUMMARIES, AGENT, TRIAGE, COPY, DIGEST)

CACHE_FROM_TOKENS = 600


@dataclass(frozen=True, slots=True)
class Model:
    """`first_s` is the median wait for the first token, `per_s` tokens a second after it. `thinks` is the share of
    output tokens, on top of the visible ones, that is reasoning. `writes_cache` bills what it puts into the cache;
    without `reads_cache` the application spoils the cache with what it sends."""

    api: str
    provider: str
    name: str
    first_s: float
    per_s: float
    thinks: float = 0.0
    writes_cache: bool = False
    reads_cache: bool = True


GPT_4O_MINI = Model("chat", "openai", "gpt-4o-mini", 0.45, 92)
GPT_41 = Model("chat", "openai", "gpt-4.1", 0.6, 74)
GPT_5_MINI = Model("responses", "openai", "gpt-5-mini", 1.1, 105, thinks=1.4)
SONNET = Model("messages", "anthropic", "claude-sonnet-4-5", 1.0, 62, writes_cache=True)
SONNET_UNCACHED = replace(SONNET, reads_cache=False)
HAIKU = Model("messages", "anthropic", "claude-haiku-4-5", 0.4, 140, writes_cache=True)
GEMINI_FLASH = Model("chat", "gcp.gemini", "gemini-2.5-flash", 0.5, 170)
MISTRAL_SMALL = Model("chat", "mistral_ai", "mistral-small-latest", 0.25, 120)
# The shop's own: it speaks OpenAI's protocol, so clients and telemetry take it for "openai".
LLAMA = Model("chat", "openai", "llama-3.1-8b-instruct", 0.2, 48, reads_cache=False)
EMBEDDING = "text-embedding-3-small"


@dataclass(frozen=True, slots=True)
class Prompt:
    name: str
    version: str
    text: str


def call(
    rng: Random,
    model: Model,
    prompt: Prompt,
    messages: list[Message],
    answer: str,
    *,
    streamed: bool = False,
    slowness: float = 1.0,
    tool: tuple[str, dict[str, object]] | None = None,
    offers_tools: bool = False,
) -> ModelCall:
    """A call that succeeds, with the tokens its texts have and the time this model would take for them."""
    usage = usage_of(rng, model, prompt, messages, answer if tool is None else f"{tool} with its envelope")
    wait = model.first_s * slowness * rng.lognormvariate(0, 0.35) + usage.input_tokens / 20_000
    latency = wait + usage.output_tokens / model.per_s * slowness * rng.lognormvariate(0, 0.2)
    return ModelCall(
        api=model.api,
        provider=model.provider,
        model=model.name,
        system=prompt.text,
        messages=tuple(messages),
        usage=usage,
        latency_s=round(latency, 3),
        answer="" if tool else answer,
        tool_name=tool[0] if tool else "",
        tool_arguments=tool[1] if tool else {},
        offers_tools=offers_tools,
        first_token_s=round(wait, 3) if streamed else None,
        prompt_name=prompt.name,
        prompt_version=prompt.version,
        temperature=None if model.thinks else 0.2,
    )


def usage_of(rng: Random, model: Model, prompt: Prompt, messages: list[Message], answer: str) -> Usage:
    """Long system prompts are mostly read from the provider's cache; Anthropic bills the first one for writing it."""
    system = tokens(prompt.text) + 12
    rest = sum(tokens(str(message.get("content") or message)) + 4 for message in messages)
    visible = tokens(answer) + 3
    thought = round(visible * model.thinks * rng.lognormvariate(0, 0.5) / 64) * 64
    cached = written = 0
    if model.reads_cache and (system >= CACHE_FROM_TOKENS or len(messages) > 4):
        stable = system + (rest * 2 // 3 if len(messages) > 4 else 0)
        stable -= 0 if model.writes_cache else stable % 128
        if rng.random() < 0.82:
            cached = stable
        elif model.writes_cache:
            written = stable
    return Usage(system + rest - cached - written, visible + thought, cached, written, thought)
