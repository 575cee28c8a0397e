"""A cache of answers by a plain loop over all pairs: slow, and short enough to be believed."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np

from stanchion_server.costs.caching.records import Rows, Setting, Traffic


def by_all_pairs(calls: Traffic, rows: Rows, setting: Setting) -> tuple[list[tuple[int, int]], int, int]:
    """Hits as (asked, answered), evicted, expired: every call against everything kept, one after the other."""
    products = rows @ rows.T
    kept: OrderedDict[tuple[int, ...], tuple[int, float]] = OrderedDict()
    waiting: list[tuple[float, int]] = []
    hits: list[tuple[int, int]] = []
    evicted = expired = 0

    def slot(call: int) -> tuple[int, ...]:
        models = () if setting.is_shared else (int(calls.model[call]),)
        return (int(calls.key[call]), int(calls.text[call]), *models)

    def expire(now: float) -> None:
        nonlocal expired
        ttl = float("inf") if setting.ttl_s is None else setting.ttl_s
        for place in [place for place, (_call, ready) in kept.items() if ready + ttl < now]:
            del kept[place]
            expired += 1

    for call in range(len(calls)):
        now = float(calls.at_s[call])
        for pair in sorted(pair for pair in waiting if pair[0] <= now):
            waiting.remove(pair)
            expire(pair[0])
            kept.pop(slot(pair[1]), None)
            kept[slot(pair[1])] = (pair[1], pair[0])
            if setting.capacity is not None and len(kept) > setting.capacity:
                kept.popitem(last=False)
                evicted += 1
        expire(now)
        found = []
        for place, (other, _ready) in kept.items():
            likeness = 2.0 if place == slot(call) else float(products[calls.text[call], calls.text[other]])
            least = 1.5 if setting.threshold is None else float(np.float32(setting.threshold))
            if place[0] == calls.key[call] and place[2:] == slot(call)[2:] and likeness >= least:
                found.append((likeness, place, other))
        if found:
            best = max(found, key=lambda each: (each[0], -each[1][1]))
            kept.move_to_end(best[1])
            hits.append((call, best[2]))
        elif calls.is_answered[call]:
            waiting.append((now + float(calls.duration_s[call]), call))
    return hits, evicted, expired
