"""Tokens of a text: by the rules of thumb always, exactly where a vocabulary is installed."""

from __future__ import annotations

from decimal import Decimal

from stanchion_server.costs import vocabularies
from stanchion_server.costs.calculators.conversations import CHARS_PER_TOKEN, WORDS_PER_TOKEN
from stanchion_server.costs.calculators.fields import Field, Values
from stanchion_server.costs.calculators.results import Calculator, Result, line

_SAMPLE = "As a customer I would like to know when my order arrives.\n\nPlease answer the question."


def _count(values: Values) -> Result:
    text = values.text("text")
    chars, words = Decimal(len(text)), Decimal(len(text.split()))
    counted = [(one, vocabularies.count(one.name, text)) for one in vocabularies.VOCABULARIES]
    exact = [
        line(f"tokens_{one.name}", one.used_by, found, "tokens", f"vocabulary {one.name}") for one, found in counted
    ]
    lines = (
        *(one for one in exact if one.value is not None),
        line("tokens_by_words", "By words", words / WORDS_PER_TOKEN, "tokens", "words / 0.75"),
        line("tokens_by_chars", "By characters", chars / CHARS_PER_TOKEN, "tokens", "characters / 4"),
        *(one for one in exact if one.value is None),
        line("words", "Words", words, "", "parts between blanks"),
        line("chars", "Characters", chars, "", "line breaks counted"),
    )
    missing = [one.name for one, found in counted if found is None]
    note = f"Not installed here: {', '.join(missing)}. The extra “tokens” brings them: stanchion[tokens]."
    return Result(lines, (), (note,) if missing else ())


TEXT_TOKENS = Calculator(
    "text-tokens",
    "Tokens of a text",
    "Texts",
    "How many tokens is this text?",
    (Field("text", "Text", "text", _SAMPLE),),
    _count,
    (
        "Without the tokens that a chat format adds around each message.",
        "Blanks at the beginning and the end are left out.",
        "Providers other than OpenAI have vocabularies of their own.",
    ),
)
