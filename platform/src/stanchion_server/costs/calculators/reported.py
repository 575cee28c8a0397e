"""Speeds that others reported, to stand beside one's own. Pure; nothing is computed from them.

The figures are those that *Large Language Model-Based Solutions* (Wiley, 2024) cites; read on 2026-11-26. Each holds
for its own hardware, engine, lengths and date, which are seldom told in full.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from stanchion_server.costs.calculators.fields import Values, number
from stanchion_server.costs.calculators.results import Calculator, Number, Result, line, share, table

AS_OF = "2024"


@dataclass(frozen=True, slots=True)
class Reported:
    """`latency_s` of a request and `most_rps` that were borne; `gain` in the words of whoever reported it."""

    what: str
    hardware: str
    latency_s: Decimal | None
    most_rps: Decimal | None
    gain: str


def _speed(what: str, hardware: str, latency_s: str | None, most_rps: str | None, gain: str = "") -> Reported:
    latency, rate = (None if one is None else Decimal(one) for one in (latency_s, most_rps))
    return Reported(what, hardware, latency, rate, gain)


REPORTED = (
    _speed("Mistral 7B", "A100, 40 GB", "4.6", "0.8", "one user; flat up to this rate"),
    _speed("Mistral 7B", "A10, 24 GB", "18", "0.4"),
    _speed("Mistral 7B, another configuration", "not told", "2.3", "2.8"),
    _speed("Llama 2 70B with TensorRT-LLM", "not told", None, None, "6.7 times as fast"),
    _speed("TensorRT-LLM", "PCs with RTX cards", None, None, "4 times as fast"),
    _speed("LMI container", "not told", None, None, "latency -33 %, throughput +60 %"),
    _speed("BERT, Numenta on Intel", "CPU", "0.01", None, "under 10 ms; 100 times AMD Milan"),
    _speed("Long documents, Numenta on Intel", "CPU", None, None, "20 times as fast"),
    _speed("DeepSparse", "CPU", None, None, "up to 7 times as fast"),
    _speed("FLAN-MoE-32B", "not told", None, None, "about 1/3 of the operations of a dense 62B"),
    _speed("DeepMoE", "not told", None, None, "43 % less computing, 1 % less error"),
)


def _compare(values: Values) -> Result:
    latency, rate = values.maybe("latency_s"), values.maybe("most_rps")
    head = [("Reported by others", ""), ("Hardware", ""), ("A request took", "s"), ("Borne", "requests/s")]
    rows: list[list[Number]] = [[one.what, one.hardware, one.latency_s, one.most_rps] for one in REPORTED]
    for own, title, theirs in (
        (latency, "Yours / theirs", [one.latency_s for one in REPORTED]),
        (rate, "Your rate / theirs", [one.most_rps for one in REPORTED]),
    ):
        if own is not None:
            head.append((title, "times"))
            for row, reported in zip(rows, theirs, strict=True):
                row.append(share(own, reported))
    head.append(("What was said", ""))
    shown = [(*row, one.gain) for row, one in zip(rows, REPORTED, strict=True)]
    lines = (
        line("latency_s", "Your request takes", latency, "s", "as given"),
        line("most_rps", "You bear", rate, "requests/s", "as given"),
    )
    return Result(lines, (table(f"Reported by others, as of {AS_OF}: not measured here", tuple(head), *shown),))


REFERENCE_SPEEDS = Calculator(
    "reference-speeds",
    "Speeds that others reported",
    "Capacity",
    "How do your latency and rate stand beside published ones?",
    (
        number("latency_s", "Your mean latency, s", None, 86_400, hint="empty: only the published ones"),
        number("most_rps", "Requests per second that you bear", None, 1_000_000),
    ),
    _compare,
    ("Lengths, engines and settings differ: a ratio says where to look, not who is better.",),
)
