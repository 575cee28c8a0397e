"""Runs scorers over a batch of calls and sorts out what came of it. Knows neither the database nor the clock's date."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from types import TracebackType
from typing import NamedTuple

from stanchion_server.quality.records import CallKey, Example, Result
from stanchion_server.quality.sampling import Rule
from stanchion_server.quality.scorers import Scorer, Unavailable


class Judged(NamedTuple):
    """One scorer's answer on one call; `elapsed_us` is its share of the batch."""

    key: CallKey
    result: Result
    elapsed_us: int


@dataclass(slots=True)
class Verdicts:
    """Of each call at most one of: an answer, the reason of a failure, the reason why the scorer cannot run here. With
    none of them there was nothing to judge."""

    judged: list[Judged] = field(default_factory=list)
    failed: dict[CallKey, str] = field(default_factory=dict)
    absent: dict[CallKey, str] = field(default_factory=dict)


def judge(scorer: Scorer, examples: Sequence[Example]) -> Verdicts:
    """Never raises for what a scorer does. A batch that fails is tried again call by call."""
    verdicts = Verdicts()
    began_ns = time.perf_counter_ns()
    try:
        results = _results(scorer, examples)
    except Unavailable as error:
        verdicts.absent = {example.key: str(error) for example in examples}
        return verdicts
    except Exception:
        _one_by_one(scorer, examples, verdicts)
        return verdicts
    elapsed_us = (time.perf_counter_ns() - began_ns) // 1000 // max(1, len(examples))
    _sort(zip(examples, results, strict=True), verdicts, elapsed_us)
    return verdicts


def _one_by_one(scorer: Scorer, examples: Sequence[Example], verdicts: Verdicts) -> None:
    for example in examples:
        began_ns = time.perf_counter_ns()
        try:
            results = _results(scorer, [example])
        except Unavailable as error:
            verdicts.absent[example.key] = str(error)
        except Exception as error:
            verdicts.failed[example.key] = f"{scorer.id}: {_told(error)}"
        else:
            elapsed_us = (time.perf_counter_ns() - began_ns) // 1000
            _sort([(example, results[0])], verdicts, elapsed_us)


def _results(scorer: Scorer, examples: Sequence[Example]) -> Sequence[Result | None]:
    results = scorer.score(examples)
    if len(results) != len(examples):
        raise LookupError("as many results as examples were expected")
    for result in results:
        if result is not None and not 0.0 <= result.score <= 1.0:
            raise ArithmeticError("a score outside 0..1")
        if result is not None and not (isinstance(result.label, str) and isinstance(result.reason, str)):
            raise TypeError("label and reason must be text")
    return results


def _sort(pairs: Iterable[tuple[Example, Result | None]], verdicts: Verdicts, elapsed_us: int) -> None:
    verdicts.judged += [Judged(example.key, result, elapsed_us) for example, result in pairs if result is not None]


def _told(error: Exception) -> str:
    """The error's type and place. Its message is left out: it may quote the call."""
    where = _innermost(error.__traceback__)
    return f"{type(error).__name__}{f' at {where}' if where else ''}"


def _innermost(trace: TracebackType | None) -> str:
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{PurePath(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else ""


def flagged(result: Result, scorer: Scorer, rule: Rule) -> Result:
    """The result under the project's own threshold, where it has one."""
    if rule.threshold is None:
        return result
    is_low = scorer.direction == "low_is_good"
    is_flagged = result.score >= rule.threshold if is_low else result.score < rule.threshold
    return replace(result, is_flagged=is_flagged)
