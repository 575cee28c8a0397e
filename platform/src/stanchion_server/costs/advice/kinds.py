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
        "As with equal questions, with the most alike earlier question served from a cosine of 0.90 on.",
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
    "failures": ("Stop paying for failures", "What calls cost and took that ended in an error, retries included."),
}
