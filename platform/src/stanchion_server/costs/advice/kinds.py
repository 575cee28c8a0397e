"""What each kind of finding is called, and how its amount comes about."""

from __future__ import annotations

from collections.abc import Mapping

KINDS: Mapping[str, tuple[str, str]] = {
    "exact_cache": (
        "Keep answers for equal questions",
        "Recorded calls are replayed through a cache in order of time; calls that it would have served are saved.",
    ),
    "semantic_cache": (
        "Keep answers for like questions",
        "As with equal questions, but the most alike earlier question is served, from the named cosine on.",
    ),
    "cheaper_model": (
        "Ask a cheaper model",
        "The tokens of recorded calls at the other model's price of today, against what they cost.",
    ),
    "output_cap": (
        "Ask for shorter answers",
        "Output tokens beyond the 95th percentile of the prompt version, at the model's output price.",
    ),
    "prompt_cache": (
        "Let the provider cache the shared beginning",
        "Tokens of the shared beginning in calls soon after another, at the price of cached tokens.",
    ),
    "batch": ("Send in batches", "Half of what these calls cost: the providers' price for batches."),
    "history": (
        "Send less history",
        "Input tokens of exchanges older than the last two, in calls that send a conversation's earlier answers again.",
    ),
    "replicas": (
        "Run fewer instances",
        "Instances beyond those that the busy hours need, by what they cost in the hours looked at.",
    ),
    "idle_hours": (
        "Stop cards while they are idle",
        "What the cards cost in hours of the day that were idle on nearly all days, less a start after each such time.",
    ),
    "approved": (
        "Answer from what people approved",
        "Later questions like one whose answer people rated well or corrected; their calls are saved.",
    ),
    "asking_back": (
        "Get the context with the first message",
        "What the calls cost in which the model asked back and the person went on.",
    ),
    "several": (
        "Ask several questions in one prompt",
        "The shared beginning of questions that came within a minute, sent once for several of them.",
    ),
    "format": (
        "Answer as data instead of prose",
        "Output tokens of prose beyond those of JSON answers to the same prompt, at the model's output price.",
    ),
    "condense": (
        "Shorten long context before it is read",
        "Three quarters of the changing input at its price, less what a smaller model takes to shorten it.",
    ),
    "failures": ("Stop paying for failures", "What calls cost and took that ended in an error, retries included."),
}
