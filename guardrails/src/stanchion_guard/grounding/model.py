"""How likely a claim is not supported: a logistic model over the features, its weights in a file beside this one."""

from __future__ import annotations

import math
from functools import cache
from importlib.resources import files

import numpy as np

from stanchion_guard.grounding.features import NAMES, Comparison


@cache
def _weights() -> tuple[float, ...]:
    """Made by guardrails/train/groundedness.py; in the order of `features.NAMES`, intercept last."""
    with files(__package__).joinpath("weights.npz").open("rb") as file, np.load(file, allow_pickle=False) as stored:
        if tuple(stored["names"].tolist()) != NAMES:
            raise RuntimeError("grounding/weights.npz is older than the features: run guardrails/train/groundedness.py")
        return tuple(float(value) for value in stored["weights"])


def unsupported(comparison: Comparison) -> float:
    """0..1; 1 = nothing in the evidence speaks for the claim, or something speaks against it."""
    *weights, intercept = _weights()
    total = intercept + sum(weight * value for weight, value in zip(weights, comparison.values, strict=True))
    return 1 / (1 + math.exp(-max(-40.0, min(40.0, total))))
