"""What texts cost: estimates of tokens, histories that are sent again, and shorter answers. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from stanchion_server.costs.calculators.fields import Field, Values, number, whole
from stanchion_server.costs.calculators.hosting import MOST_USD, RATES, usd_per_turn
from stanchion_server.costs.calculators.results import Calculator, Result, ceiling, line, share

CHARS_PER_TOKEN, WORDS_PER_TOKEN = Decimal(4), Decimal("0.75")
"""Rules of thumb for English (OpenAI, "What are tokens and how to count them?"): other languages, code and numbers take
more tokens."""
PER_TOKEN = number("chars_per_token", "Characters per token", "4", 100, low="0.1", hint="about 4 in English")


@dataclass(frozen=True, slots=True)
class Turn:
    """Characters of one exchange."""

    user_chars: Decimal
    assistant_chars: Decimal


@dataclass(frozen=True, slots=True)
class Billed:
    """Tokens: of input with the whole history sent each time, of input without, of output."""

    input_with_history: int
    input_alone: int
    output: int


def tokens(chars: Decimal, chars_per_token: Decimal = CHARS_PER_TOKEN) -> int:
    return ceiling(chars / chars_per_token)


def billed(turns: Sequence[Turn], chars_per_token: Decimal = CHARS_PER_TOKEN) -> Billed:
    history = with_history = alone = output = 0
    for turn in turns:
        asked, answered = tokens(turn.user_chars, chars_per_token), tokens(turn.assistant_chars, chars_per_token)
        with_history += history + asked
        alone += asked
        output += answered
        history += asked + answered
    return Billed(with_history, alone, output)


def _conversation(values: Values) -> Result:
    turns = [Turn(row.numbers[0] or Decimal(0), row.numbers[1] or Decimal(0)) for row in values.rows("turns")]
    found = billed(turns, values.number("chars_per_token"))
    rates = values.number("input_usd_per_mtok"), values.number("output_usd_per_mtok")
    with_history = usd_per_turn(found.input_with_history, found.output, *rates)
    alone = usd_per_turn(found.input_alone, found.output, *rates)
    conversations = values.whole("conversations")
    return Result(
        (
            line(
                "usd_with_history",
                "A conversation costs",
                with_history,
                "$",
                "input with history × price + output × price",
            ),
            line("usd_alone", "Without the history it would cost", alone, "$", "input alone × price + output × price"),
            line(
                "history_ratio", "The history is", share(with_history - alone, with_history), "%", "difference / cost"
            ),
            line(
                "input_tokens_with_history",
                "Input tokens, history sent each time",
                found.input_with_history,
                "tokens",
                "each turn: all messages before + the question",
            ),
            line("input_tokens_alone", "Input tokens without history", found.input_alone, "tokens", "the questions"),
            line("output_tokens", "Output tokens", found.output, "tokens", "the answers"),
            line("usd", "All conversations", with_history * conversations, "$", "conversations × $ per conversation"),
        )
    )


def _shorter(values: Values) -> Result:
    per_token = values.number("chars_per_token")
    long, short = values.number("long_chars"), values.number("short_chars")
    price, calls = values.number("output_usd_per_mtok"), values.whole("calls")
    before, after = tokens(long, per_token), tokens(short, per_token)
    return Result(
        (
            line(
                "usd_saved",
                "Saved",
                usd_per_turn(0, (before - after) * calls, Decimal(0), price),
                "$",
                "(tokens before - tokens after) × calls × output price / 1,000,000",
            ),
            line("chars_saved_ratio", "Characters saved", share(long - short, long), "%", "(before - after) / before"),
            line("tokens_before", "Tokens before", before, "tokens", "⌈characters / characters per token⌉"),
            line("tokens_after", "Tokens after", after, "tokens", "⌈characters / characters per token⌉"),
            line("tokens_saved_ratio", "Tokens saved", share(before - after, before), "%", "(before - after) / before"),
        )
    )


def _estimate(values: Values) -> Result:
    chars, words = values.number("chars"), values.number("words")
    by_chars, by_words = chars / CHARS_PER_TOKEN, words / WORDS_PER_TOKEN
    counted = values.maybe("tokens")
    lines = (
        line("tokens_by_words", "By words", by_words, "tokens", "words / 0.75"),
        line("tokens_by_chars", "By characters", by_chars, "tokens", "characters / 4"),
        line(
            "chars_per_token",
            "Characters per token, counted",
            share(chars, None if counted is None else int(counted)),
            "",
            "characters / tokens",
        ),
        line(
            "words_error_ratio",
            "Words are off by",
            None if not counted else (by_words - counted) / counted,
            "%",
            "(by words - tokens) / tokens",
        ),
        line(
            "chars_error_ratio",
            "Characters are off by",
            None if not counted else (by_chars - counted) / counted,
            "%",
            "(by characters - tokens) / tokens",
        ),
    )
    return Result(lines)


def exemplars_break_even(usd_once: Decimal, exemplar_tokens: int, input_usd_per_mtok: Decimal) -> Decimal | None:
    """Calls after which tuning once has cost less than sending exemplars each time."""
    return share(usd_once, usd_per_turn(exemplar_tokens, 0, input_usd_per_mtok, Decimal(0)))


def _few_shot(values: Values) -> Result:
    exemplars, price, once = (
        values.whole("exemplar_tokens"),
        values.number("input_usd_per_mtok"),
        values.number("tuning_usd"),
    )
    calls = values.whole("calls_per_month")
    each = usd_per_turn(exemplars, 0, price, Decimal(0))
    meets = exemplars_break_even(once, exemplars, price)
    months = None if meets is None else share(meets, calls)
    return Result(
        (
            line("break_even_calls", "Costs meet after", meets, "calls", "tuning / exemplars of a call"),
            line("break_even_months", "That is after", months, "months", "calls / calls per month"),
            line("usd_per_call", "Exemplars of a call cost", each, "$", "exemplar tokens × input price / 1,000,000"),
            line("usd_per_month", "Exemplars of a month cost", each * calls, "$", "$ per call × calls per month"),
        )
    )


CONVERSATION = Calculator(
    "conversation",
    "Conversation with history",
    "Texts",
    "What does it cost that every turn sends all turns before?",
    (
        Field(
            "turns",
            "Turns: characters of question/answer",
            "rows",
            "33/139, 31/239, 48/117, 33/138, 51/176",
            Decimal(0),
            Decimal(10_000_000),
            cells=2,
            hint="question/answer, comma-separated",
        ),
        PER_TOKEN,
        *RATES,
        whole("conversations", "Conversations", 1, 1_000_000_000),
    ),
    _conversation,
    (
        "The whole history is sent each time; no cache discount.",
        "Tokens are estimated from characters, each message rounded up.",
    ),
)
SHORTER = Calculator(
    "shorter-answers",
    "Shorter answers",
    "Texts",
    "What does a word limit or a format like JSON save?",
    (
        number("long_chars", "Characters before", "1666", 100_000_000),
        number("short_chars", "Characters after", "589", 100_000_000),
        PER_TOKEN,
        number("output_usd_per_mtok", "Output, $ per million tokens", "4", MOST_USD),
        whole("calls", "Calls", 100_000, 1_000_000_000_000),
    ),
    _shorter,
    ("That the shorter answer is as good is for you to check: look at Quality by prompt version.",),
)
TOKENS = Calculator(
    "token-estimate",
    "Token estimate",
    "Texts",
    "How many tokens is a text, and how far off is the rule of thumb?",
    (
        number("chars", "Characters", "1158", 1_000_000_000),
        number("words", "Words", "200", 1_000_000_000),
        whole("tokens", "Tokens, if counted", None, 1_000_000_000, low=1, hint="empty: not known"),
    ),
    _estimate,
    ("Rules of thumb for English: other languages, code and numbers take more tokens.",),
)
FEW_SHOT = Calculator(
    "few-shot",
    "Few-shot or fine-tuning",
    "Texts",
    "After how many calls does tuning beat sending examples?",
    (
        whole("exemplar_tokens", "Tokens of the examples in each prompt", 800, 100_000_000),
        number("input_usd_per_mtok", "Input, $ per million tokens", "3", MOST_USD),
        number("tuning_usd", "Tuning once, $", "500", 1_000_000_000),
        whole("calls_per_month", "Calls per month", 100_000, 1_000_000_000_000),
    ),
    _few_shot,
    ("The tuned model costs the same per token; often it does not: then compare with “API cost”, too.",),
)
