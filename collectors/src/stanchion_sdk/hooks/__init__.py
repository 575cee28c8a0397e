"""Hooks into the libraries that call models. Each is installed when its library is imported, and only then."""

from __future__ import annotations

from .. import safety
from ..recording import Recorder
from . import anthropic, openai

HOOKS = {"openai": openai.install, "anthropic": anthropic.install}


def install(recorder: Recorder) -> None:
    for name, hook in HOOKS.items():
        try:
            hook(recorder)
        except Exception as error:
            safety.note(f"hook {name}", error)
