"""Hooks into the libraries that call models. Each is installed when its library is imported, and only then."""

from __future__ import annotations

from collections.abc import Callable

from .. import safety
from ..recording import Recorder
from . import anthropic, bedrock, google_genai, langchain, litellm, llama_index, openai

HOOKS = {
    "openai": openai.install,
    "anthropic": anthropic.install,
    "google-genai": google_genai.install,
    "bedrock": bedrock.install,
    "litellm": litellm.install,
    "langchain": langchain.install,
    "llama-index": llama_index.install,
}

_recorder: Recorder | None = None
_installed = False


def current_recorder() -> Recorder | None:
    """Where hooked libraries record now; None when nobody wants their calls."""
    return _recorder


def install(recorder: Recorder) -> Callable[[], None]:
    """Hooks the libraries once per process and points them to the recorder; the answer puts the one before back."""
    global _recorder, _installed
    before, _recorder = _recorder, recorder
    if not _installed:
        _installed = True
        for name, hook in HOOKS.items():
            try:
                hook(current_recorder)
            except Exception as error:
                safety.note(f"hook {name}", error)

    def undo() -> None:
        global _recorder
        _recorder = before

    return undo
