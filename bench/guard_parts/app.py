"""One guard, built and timed: `app.py VARIANT TEXTS.json SECONDS`. Runs in a peer's environment, so it imports nothing
but the standard library and that peer.

- stanchion: the built-in policy `default`, all of it, as an input.
- stanchion-patterns: personal data, secrets, ten phrases and a pattern: nearest to what the peers below do.
- llm-guard: its scanners without models: Regex with ten patterns, Secrets, BanSubstrings with ten phrases and
  InvisibleText, one after the other.
- presidio: the analyzer with every predefined recogniser and an empty spaCy pipeline, so without a name model.
- guardrails-ai: `Guard.validate` with three validators of one regular expression each: the frame, not the detectors.
- nemoguardrails: `generate` with one input rail that is one regular expression, and no model: the frame again.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Check = Callable[[str], Any]
PHRASES = [
    "strictly confidential", "for internal use only", "do not distribute", "trade secret", "ignore all previous",
    "system prompt", "developer mode", "insider information", "guaranteed profit", "medical advice",
]  # fmt: skip
PATTERNS = [
    r"[\w.+-]+@[\w-]+\.[\w.]+", r"\b(?:\d[ -]?){13,19}\b", r"\b\d{3}-\d{2}-\d{4}\b", r"\+\d{1,3}[ \d-]{7,14}\d",
    r"\b[A-Z]{2}\d{2}(?: ?\w{4}){3,7}\b", r"\b(?:\d{1,3}\.){3}\d{1,3}\b", r"https?://[^\s]+", r"\bAKIA[0-9A-Z]{16}\b",
    r"\beyJ[\w-]+\.[\w-]+\.[\w-]+", r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
]  # fmt: skip
OWN_PATTERNS = """policy: patterns
version: 1
defaults: {when_late: flag, when_failed: flag}
rules:
  - {id: pii, stages: [input], detector: pii, action: redact}
  - {id: secrets, stages: [input], detector: secrets, action: redact}
  - {id: words, stages: [input], detector: words, action: flag, parameters: {words: %s}}
  - {id: order, stages: [input], detector: pattern, action: flag, parameters: {patterns: [{name: order, regex: 'AB-[0-9]{6}'}]}}
"""  # noqa: E501


def stanchion() -> Check:
    from stanchion_guard import Guard, named

    return Guard(named("default")).check


def stanchion_patterns() -> Check:
    from stanchion_guard import Guard
    from stanchion_guard.policy import load

    return Guard(load(OWN_PATTERNS % json.dumps(PHRASES))).check


def llm_guard() -> Check:
    from llm_guard.input_scanners import BanSubstrings, InvisibleText, Regex, Secrets
    from llm_guard.util import configure_logger

    logging.disable(logging.CRITICAL)  # a log line for every hit is on by default
    configure_logger("CRITICAL")
    scanners = [
        Regex(patterns=PATTERNS, is_blocked=True, redact=True), Secrets(),
        BanSubstrings(substrings=PHRASES, case_sensitive=False), InvisibleText(),
    ]  # fmt: skip

    def check(text: str) -> None:
        for scanner in scanners:
            text = scanner.scan(text)[0]

    return check


def presidio() -> Check:
    import spacy
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer.nlp_engine import SpacyNlpEngine

    logging.disable(logging.CRITICAL)

    class Empty(SpacyNlpEngine):
        def __init__(self) -> None:
            super().__init__(models=[{"lang_code": "en", "model_name": "blank"}])
            self.nlp = {"en": spacy.blank("en")}

        def load(self) -> None:
            """Nothing is downloaded."""

    engine, registry = Empty(), RecognizerRegistry()
    registry.load_predefined_recognizers(languages=["en"], nlp_engine=engine)
    analyzer = AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=["en"])
    return lambda text: analyzer.analyze(text=text, language="en")


def guardrails_ai() -> Check:
    from guardrails import Guard, settings
    from guardrails.validators import FailResult, PassResult, Validator, register_validator

    def validator(name: str, pattern: str) -> Any:
        compiled = re.compile(pattern)

        class One(Validator):
            def validate(self, value: Any, metadata: Any) -> Any:
                return FailResult(error_message="found") if compiled.search(value) else PassResult()

        return register_validator(name=f"bench/{name}", data_type="string")(One)(on_fail="noop")

    settings.rc.enable_metrics, settings.disable_tracing = False, True  # else it sends spans home
    guard = Guard()
    for number, pattern in enumerate(PATTERNS[:3]):
        guard = guard.use(validator(f"p{number}", pattern))
    return guard.validate


def nemoguardrails() -> Check:
    import asyncio

    from nemoguardrails import LLMRails, RailsConfig

    config = RailsConfig.from_content(
        colang_content=(
            'define bot refuse\n  "No."\n\ndefine subflow own check\n  $passed = execute own_check\n'
            "  if not $passed\n    bot refuse\n    stop\n"
        ),
        yaml_content="models: []\nrails:\n  input:\n    flows:\n      - own check\n",
    )
    rails, forbidden = LLMRails(config), re.compile(PHRASES[0])

    async def own_check(context: Any = None) -> bool:
        return not forbidden.search((context or {}).get("user_message", ""))

    rails.register_action(own_check, "own_check")
    loop = asyncio.new_event_loop()

    def check(text: str) -> None:
        messages = [{"role": "user", "content": text}]
        loop.run_until_complete(rails.generate_async(messages=messages, options={"rails": ["input"]}))

    return check


BUILD = {
    "stanchion": stanchion, "stanchion-patterns": stanchion_patterns, "llm-guard": llm_guard, "presidio": presidio,
    "guardrails-ai": guardrails_ai, "nemoguardrails": nemoguardrails,
}  # fmt: skip


def main() -> None:
    name, given, seconds = sys.argv[1], json.loads(Path(sys.argv[2]).read_text()), float(sys.argv[3])
    before_mib, began_s = resident_mib(), time.process_time()
    check = BUILD[name]()
    built = {"build_cpu_s": time.process_time() - began_s, "grown_mib": resident_mib() - before_mib}
    print(json.dumps({**built, "sizes": {size: timed(check, texts, seconds) for size, texts in given.items()}}))


def timed(check: Check, texts: list[str], seconds: float) -> dict[str, float]:
    """Three texts unmeasured, then all again and again for `seconds` of CPU time, three rounds at least. Between two
    checks next to nothing is done: it would leave the next one a cold cache."""
    for text in texts[:3]:
        check(text)
    took: list[float] = []
    total_s, most_s = 0.0, 20 * seconds
    while total_s <= most_s and (total_s < seconds or len(took) < 3 * len(texts)):
        began_s = time.process_time()
        check(texts[len(took) % len(texts)])
        took.append(time.process_time() - began_s)
        total_s += took[-1]
    ordered = sorted(took)
    return {"p50_ms": at(ordered, 0.5), "p99_ms": at(ordered, 0.99), "checks": len(took)}


def at(ordered: list[float], share: float) -> float:
    return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def resident_mib() -> float:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
