"""The shapes that travel between reading, judging and the store. All frozen, none knows Django."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

Kind = Literal["number", "category", "text"]
Verdict = Literal["drift", "no_drift", "not_enough_data"]
Numbers = NDArray[np.float64]
Flags = NDArray[np.bool_]
Places = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class CallKey:
    """One recorded call. `span_id` is signed, as stored."""

    trace_id: UUID
    span_id: int
    start_time: datetime


@dataclass(frozen=True, slots=True)
class Column:
    """One property of the rows of both windows together.

    `values` are numbers, words, or a matrix with a row vector for each text. `is_current` tells the window, `blocks`
    the number of the independent unit that a row belongs to (a session, or a user): rows of one unit are shuffled
    together. `calls` are places in the sample's list of calls, None for columns whose rows are no calls.
    """

    name: str
    kind: Kind
    values: Numbers | Sequence[str] | NDArray[np.float32]
    is_current: Flags
    blocks: Places
    calls: Places | None = None
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Bars:
    """Shares of both windows by bin, for a small chart: `labels` are the words of a category, `edges` (one more than
    bins) the limits of a number's bins. A text has neither."""

    reference: tuple[float, ...] = ()
    current: tuple[float, ...] = ()
    labels: tuple[str, ...] = ()
    edges: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Segment:
    """Calls with `value` in `dimension`: the statistic falls to `value_without` when they are left out of both windows,
    which is the share `contribution_ratio` of it."""

    dimension: str
    value: str
    reference_ratio: float
    current_ratio: float
    value_without: float
    contribution_ratio: float


@dataclass(frozen=True, slots=True)
class Finding:
    """What is known of one column. `value` and `p` are None where too little was there to say anything.

    `p` is the share of shuffles at least as far apart; `p_adjusted` what is left of it among all columns of the run
    (Benjamini-Hochberg). `threshold` is the smallest `value` that counts as drift however sure it is.
    """

    column: str
    kind: Kind
    statistic: str
    verdict: Verdict
    reason: str
    n_reference: int
    n_current: int
    value: float | None = None
    threshold: float | None = None
    p: float | None = None
    p_adjusted: float | None = None
    second_figures: Mapping[str, float] = field(default_factory=dict)
    bars: Bars = Bars()
    unit: str = ""
    new_values: tuple[str, ...] = ()
    words: Mapping[str, Sequence[str]] = field(default_factory=dict)
    segments: tuple[Segment, ...] = ()
    examples: tuple[CallKey, ...] = ()


@dataclass(frozen=True, slots=True)
class Side:
    """The sampled calls of one window and what is known of each: every list is as long as `keys`.

    `units` are sessions, or traces where there is no session. `numbers` and `labels` are None where a call does not
    tell. `words` are those of what was new in the prompt and of the answer, empty where no content was kept. `scores`
    is by scorer and its version. `counted` is how many calls the window holds: beyond the bound the sample is drawn by
    trace.
    """

    keys: tuple[CallKey, ...]
    units: tuple[str, ...]
    numbers: Mapping[str, Sequence[float | None]]
    labels: Mapping[str, Sequence[str | None]]
    words: Mapping[str, Sequence[Sequence[str]]]
    scores: Mapping[tuple[str, str], Sequence[float | None]]
    counted: int


@dataclass(frozen=True, slots=True)
class Sample:
    """Both windows, the reference first. `scores` has one version of each scorer: one that both windows know."""

    keys: tuple[CallKey, ...]
    is_current: Flags
    blocks: Places
    numbers: Mapping[str, Sequence[float | None]]
    labels: Mapping[str, Sequence[str | None]]
    words: Mapping[str, Sequence[Sequence[str]]]
    scores: Mapping[str, Sequence[float | None]]


@dataclass(frozen=True, slots=True)
class Window:
    start: datetime
    end: datetime
