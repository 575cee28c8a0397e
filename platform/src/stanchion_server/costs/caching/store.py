"""One cache of one setting during a replay."""

from __future__ import annotations

import heapq
from collections import OrderedDict, deque
from collections.abc import Callable

import numpy as np

from stanchion_server.costs.caching.records import Kept, Outcome, Served, Setting, Traffic, Truths

Gone = Callable[[int], None]


class Store:
    """Keeps the calls whose answers are there, by slot. A slot is a (key, text) pair, and a model where models do not
    share. Time only goes forward; `gone` hears of each call that is kept no longer, by its row."""

    def __init__(self, setting: Setting, ready_s: list[float], slots: list[int], gone: Gone) -> None:
        self._capacity = setting.capacity
        self._ttl_s = float("inf") if setting.ttl_s is None else setting.ttl_s
        self._ready_s, self._slots, self._gone = ready_s, slots, gone
        self._kept: OrderedDict[int, int] = OrderedDict()
        self._waiting: list[tuple[float, int]] = []
        self._order: deque[int] = deque()
        self.evicted = self.expired = self.most = 0

    def __len__(self) -> int:
        return len(self._kept)

    def at(self, slot: int) -> int | None:
        return self._kept.get(slot)

    def use(self, slot: int) -> None:
        self._kept.move_to_end(slot)

    def keep(self, row: int) -> None:
        """From the moment its answer is there."""
        heapq.heappush(self._waiting, (self._ready_s[row], row))

    def advance(self, now_s: float) -> None:
        while self._waiting and self._waiting[0][0] <= now_s:
            ready_s, row = heapq.heappop(self._waiting)
            self._expire(ready_s)
            self._insert(row)
        self._expire(now_s)

    def _insert(self, row: int) -> None:
        """A newer answer to the same text takes the older one's place."""
        slot = self._slots[row]
        if (before := self._kept.pop(slot, None)) is not None:
            self._gone(before)
        self._kept[slot] = row
        self._order.append(row)
        if self._capacity is not None and len(self._kept) > self._capacity:
            _slot, oldest = self._kept.popitem(last=False)
            self.evicted += 1
            self._gone(oldest)
        self.most = max(self.most, len(self._kept))

    def _expire(self, now_s: float) -> None:
        while self._order and self._ready_s[self._order[0]] + self._ttl_s < now_s:
            row = self._order.popleft()
            if self._kept.get(self._slots[row]) == row:
                del self._kept[self._slots[row]]
                self.expired += 1
                self._gone(row)


class Account:
    """What the hits of one cache come to."""

    def __init__(self, setting: Setting, traffic: Traffic) -> None:
        self._setting, self._traffic = setting, traffic
        self.asked: list[int] = []
        self.answered: list[int] = []
        self.similarity: list[float] = []

    def hit(self, asked: int, answered: int, similarity: float) -> None:
        self.asked.append(asked)
        self.answered.append(answered)
        self.similarity.append(similarity)

    def served(self) -> Served:
        asked, answered = np.array(self.asked, dtype=np.int64), np.array(self.answered, dtype=np.int64)
        is_equal = self._traffic.text[asked] == self._traffic.text[answered]
        return Served(asked, answered, np.array(self.similarity, dtype=np.float64), is_equal)

    def outcome(self, store: Store) -> Outcome:
        kept = Kept(store.evicted, store.expired, store.most)
        everything = np.ones(len(self._traffic), dtype=bool)
        return outcome_of(self._setting, self._traffic, self.served(), everything, kept)


def outcome_of(setting: Setting, traffic: Traffic, served: Served, mine: Truths, kept: Kept | None = None) -> Outcome:
    """Of the calls that are `mine`, a truth for each call of the traffic; what was kept is known of all together."""
    is_mine = mine[served.asked]
    asked, answered = served.asked[is_mine], served.answered[is_mine]
    ages = np.sort(traffic.at_s[asked] - traffic.at_s[answered] - traffic.duration_s[answered]).tolist()
    return Outcome(
        setting=setting,
        lookups=int(mine.sum()),
        hits=len(asked),
        equal_hits=int(served.is_equal[is_mine].sum()),
        saved_usd=float(traffic.usd[asked].sum()),
        unpriced_hits=int((~traffic.is_priced[asked]).sum()),
        saved_s=float(traffic.duration_s[asked].sum()),
        age_p50_s=_rank(ages, 0.5),
        age_p95_s=_rank(ages, 0.95),
        kept=kept,
    )


def _rank(ascending: list[float], fraction: float) -> float | None:
    return ascending[min(len(ascending) - 1, int(fraction * len(ascending)))] if ascending else None
