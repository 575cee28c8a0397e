"""Several prompts at once, several questions in a prompt, and answers that are kept. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from stanchion_server.costs.calculators.fields import Field, Row, Values, number, whole
from stanchion_server.costs.calculators.hosting import MOST_USD
from stanchion_server.costs.calculators.results import Calculator, Result, ceiling, line, share, table
from stanchion_server.kernel.errors import SenderError


@dataclass(frozen=True, slots=True)
class Trial:
    """`seconds` for all prompts; None where it failed, for example out of memory."""

    batch: int
    seconds: Decimal | None

    def prompts_per_s(self, prompts: int) -> Decimal | None:
        return None if not self.seconds else prompts / self.seconds


def best(trials: Sequence[Trial]) -> Trial | None:
    """The fastest that did not fail, and of equals the smaller batch."""
    done = [one for one in trials if one.seconds]
    return min(done, key=lambda one: (one.seconds, one.batch), default=None)


def _trials(values: Values) -> Result:
    prompts = values.whole("prompts")
    trials = [_trial(row) for row in values.rows("trials")]
    fastest = best(trials)
    slowest = next((one for one in sorted(trials, key=lambda one: one.batch) if one.seconds), None)
    reference = slowest.seconds if slowest else None

    def speed_up(one: Trial) -> Decimal | None:
        return reference / one.seconds if reference and one.seconds else None

    rows = [
        (
            one.batch,
            ceiling(Decimal(prompts) / one.batch),
            one.seconds,
            one.prompts_per_s(prompts),
            speed_up(one),
            "ran" if one.seconds else "failed",
        )
        for one in trials
    ]
    head = (("Batch", ""), ("Batches", ""), ("Took", "s"), ("Speed", "prompts/s"), ("Gain", "times"), ("", ""))
    failed = sum(not one.seconds for one in trials)
    lines = (
        line("best_batch", "Best batch", fastest.batch if fastest else None, "", "the fastest trial that did not fail"),
        line(
            "prompts_per_s",
            "It does",
            fastest.prompts_per_s(prompts) if fastest else None,
            "prompts/s",
            "prompts / seconds",
        ),
        line(
            "speed_up",
            "Against the smallest batch",
            speed_up(fastest) if fastest else None,
            "times",
            "seconds / seconds",
        ),
        line("failed", "Failed trials", failed, "", "rows without a time"),
    )
    return Result(lines, (table("Trials", head, *rows),))


def _trial(row: Row) -> Trial:
    size, seconds = row.numbers
    if size is None or size < 1 or size != size.to_integral_value():
        raise SenderError("bad_value", f"trials: the batch {size} is no whole number from 1. Write rows like 100/11.7.")
    if seconds == 0:
        raise SenderError("bad_value", f"trials: the batch {size} took 0 s. Write oom or failed where it gave no time.")
    return Trial(int(size), seconds)


def calls(questions: int, per_prompt: int) -> int:
    return -(-questions // per_prompt)


def prompt_tokens(questions: int, per_prompt: int, shared: int, each: int) -> int:
    """Input tokens with `shared` tokens of instructions in each prompt and `each` per question."""
    return calls(questions, per_prompt) * shared + questions * each


def _batch_prompting(values: Values) -> Result:
    count, size, shared, each, answer = (
        values.whole(name) for name in ("questions", "per_prompt", "shared_tokens", "question_tokens", "answer_tokens")
    )

    def total(per_prompt: int) -> int:
        return prompt_tokens(count, per_prompt, shared, each) + count * answer

    lines = (
        line(
            "token_ratio",
            "Tokens, one by one against together",
            share(total(1), total(size)),
            "times",
            "(questions × (shared + question + answer)) / (calls × shared + questions × (question + answer))",
        ),
        line("tokens_saved", "Tokens saved", total(1) - total(size), "tokens", "one by one - together"),
        line("calls", "Calls", calls(count, size), "", "⌈questions / questions per prompt⌉"),
        line("calls_saved", "Calls saved", calls(count, 1) - calls(count, size), "", "questions - calls"),
    )
    rows = [(n, calls(count, n), total(n), share(total(1), total(n))) for n in (1, 2, 4, 6, 10)]
    head = (("Per prompt", ""), ("Calls", ""), ("Tokens", ""), ("Ratio", "times"))
    return Result(lines, (table("By questions per prompt", head, *rows),))


def expected_usd(hit_ratio: Decimal, usd_per_call: Decimal, lookup_usd: Decimal) -> Decimal:
    """Each call is looked up; what is not found is asked."""
    return (1 - hit_ratio) * usd_per_call + lookup_usd


def _cache(values: Values) -> Result:
    hit, call, lookup = (values.number(name) for name in ("hit_ratio", "usd_per_call", "lookup_usd"))
    count = values.whole("calls")
    each = expected_usd(hit, call, lookup)
    seconds, looked = values.number("call_s"), values.number("lookup_s")
    lines = (
        line("usd_saved", "Saved", (call - each) * count, "$", "calls × ($ per call - $ with the cache)"),
        line("usd_per_call", "A call costs with the cache", each, "$", "(1 - hit share) × $ per call + $ per lookup"),
        line(
            "break_even_hit_ratio", "It pays from a hit share of", share(lookup, call), "%", "$ per lookup / $ per call"
        ),
        line(
            "mean_s",
            "A call takes with the cache",
            (1 - hit) * seconds + looked,
            "s",
            "(1 - hit share) × seconds + lookup",
        ),
    )
    rows = [(Decimal(part) / 10, expected_usd(Decimal(part) / 10, call, lookup)) for part in (0, 3, 5, 7, 9)]
    return Result(lines, (table("By hit share", (("Hits", "%"), ("A call", "$")), *rows),))


def sections(length: int, section: int, overlap: int) -> int:
    """Pieces of a document; `overlap` of each stand in the one before, too. `overlap` is less than `section`."""
    return 1 if length <= section else -(-(length - overlap) // (section - overlap))


def _sections(values: Values) -> Result:
    length, section, overlap = (values.whole(name) for name in ("length", "section", "overlap"))
    if overlap >= section:
        raise SenderError("bad_value", f"overlap={overlap} must be less than section={section}.")
    count = sections(length, section, overlap)
    return Result(
        (
            line("sections", "Sections", count, "", "⌈(length - overlap) / (section - overlap)⌉"),
            line("sent", "Sent altogether", length + (count - 1) * overlap, "", "length + (sections - 1) × overlap"),
            line(
                "overlap_ratio",
                "Of it sent twice",
                share((count - 1) * overlap, length + (count - 1) * overlap),
                "%",
                "(sections - 1) × overlap / sent",
            ),
        )
    )


TRIALS = Calculator(
    "batch-trials",
    "Batch sizes tried",
    "Batching",
    "Which batch size was the best?",
    (
        whole("prompts", "Prompts in each trial", 1_000, 1_000_000_000, low=1),
        Field(
            "trials",
            "Trials: batch size/seconds",
            "rows",
            "1/734, 100/11.7, 200/8.49, 300/14.2, 500/oom",
            Decimal(0),
            Decimal(1_000_000_000),
            cells=2,
            may_fail=True,
            hint="oom or failed where it gave no time",
        ),
    ),
    _trials,
    ("All trials did the same prompts on the same card.",),
)
BATCH_PROMPTING = Calculator(
    "batch-prompting",
    "Several questions per prompt",
    "Batching",
    "What is saved when questions share their instructions?",
    (
        whole("questions", "Questions", 60, 1_000_000_000, low=1),
        whole("per_prompt", "Questions per prompt", 6, 1_000, low=1),
        whole("shared_tokens", "Tokens of instructions and examples", 300, 10_000_000),
        whole("question_tokens", "Tokens of a question", 40, 10_000_000),
        whole("answer_tokens", "Tokens of an answer", 40, 10_000_000),
    ),
    _batch_prompting,
    ("Answers stay as long; that none is lost or mixed up is for you to check.",),
)
CACHE = Calculator(
    "answer-cache",
    "Answer cache",
    "Batching",
    "What does a cache of answers save, and from which hit share on?",
    (
        number("hit_ratio", "Share of hits, 0 to 1", "0.3", 1),
        number("usd_per_call", "$ per call", "0.0007", MOST_USD),
        number("lookup_usd", "$ per lookup", "0", MOST_USD),
        whole("calls", "Calls", 100_000, 1_000_000_000_000),
        number("call_s", "Seconds per call", "2", 86_400),
        number("lookup_s", "Seconds per lookup", "0.02", 86_400),
    ),
    _cache,
    ("A hit answers as well as the model would: the threshold of likeness decides that.",),
)
SECTIONS = Calculator(
    "sections",
    "Long document in sections",
    "Batching",
    "Into how many calls is a document cut, and what is sent twice?",
    (
        whole("length", "Length of the document", 20_000, 1_000_000_000, low=1),
        whole("section", "Length of a section", 2_000, 100_000_000, low=1),
        whole("overlap", "Overlap", 100, 100_000_000),
    ),
    _sections,
    ("Lengths in tokens or in characters, all in the same.",),
)
