"""Who calls: how many calls a user makes, and how many users are new. Pure.

The rows are users, not calls. The reference is cut into slices as long as the current window. Whether a user is new is
asked of the current window and of the slice before it alike: not seen in as many slices before.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from stanchion_server.drift import shuffling
from stanchion_server.drift.records import Column

FEWEST_SLICES = 2


def columns(rows: Iterable[tuple[str, int, int]], slices: int) -> tuple[Column, ...]:
    """From user, slice (0 is the current window, 1 the one before it) and calls; `slices` whole ones make the
    reference."""
    told = [row for row in rows if row[1] <= slices]
    if not told or slices < FEWEST_SLICES:
        return ()
    return _calls_per_user(told), _new_users(told, slices - 1)


def _calls_per_user(rows: list[tuple[str, int, int]]) -> Column:
    """Each user's slice is a unit of its own. The slices of one user together would be up to as many rows as there are
    slices on the reference's side and one on the other: such units cannot change places. Users who come every day make
    the windows more alike than independent rows would be, which errs on the side of no alarm."""
    flags = np.array([place == 0 for _user, place, _calls in rows], dtype=np.bool_)
    values = np.array([row[2] for row in rows], dtype=np.float64)
    return Column("calls_per_user", "number", values, flags, np.arange(len(rows)))


def _new_users(rows: list[tuple[str, int, int]], lookback: int) -> Column:
    seen: dict[str, set[int]] = defaultdict(set)
    for user, place, _calls in rows:
        seen[user].add(place)
    told = [
        (user, place == 0, not any(place < before <= place + lookback for before in seen[user]))
        for user, place, _calls in rows
        if place <= 1
    ]
    flags = np.array([now for _user, now, _is_new in told], dtype=np.bool_)
    blocks, _sides = shuffling.units_of([user for user, _now, _is_new in told], flags)
    values = ["new" if is_new else "returning" for _user, _now, is_new in told]
    return Column("new_users", "category", values, flags, blocks)
