"""Replays recorded calls through caches of many settings at once, exactly, in one pass over the embeddings.

At a call's time a cache holds the answers of earlier misses that have neither expired nor been evicted; which those are
differs by setting. So each block of calls is multiplied once with every text that some cache holds or awaits, and a
pair is looked at only where its cosine reaches the lowest threshold of the caches that hold the text. What a cache
holds lies pairwise below its threshold, which keeps these lists short however alike the texts are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stanchion_server.costs.caching.records import Numbers, Outcome, Rows, Served, Setting, Traffic
from stanchion_server.costs.caching.store import Account, Store

BLOCK, TILE = 1_024, 8_192
PAIRS = 4_000_000
"""A block has fewer calls where so much is held that more pairs than these could be near: 48 MB at the worst."""
FEWEST = 32
_NEVER = np.float32(2.0)


@dataclass(frozen=True, slots=True)
class Near:
    """Nodes and their cosines, in no order."""

    nodes: Numbers
    cosines: Rows

    def likest_first(self) -> list[tuple[float, int]]:
        """The first of the texts where several are as near."""
        order = np.lexsort((self.nodes, -self.cosines))
        return list(zip(self.cosines[order].tolist(), self.nodes[order].tolist(), strict=True))


def together(parts: Sequence[Near]) -> Near:
    return Near(np.concatenate([part.nodes for part in parts]), np.concatenate([part.cosines for part in parts]))


@dataclass(frozen=True, slots=True)
class Replayed:
    """Outcomes and hits in the order of the settings."""

    outcomes: tuple[Outcome, ...]
    served: tuple[Served, ...]


@dataclass(frozen=True, slots=True)
class Portions:
    """How much is multiplied at once; the outcome does not depend on it."""

    block: int = BLOCK
    tile: int = TILE
    pairs: int = PAIRS
    fewest: int = FEWEST

    def calls(self, held: int) -> int:
        return min(self.block, max(self.fewest, self.pairs // max(1, held)))


WHOLE = Portions()


def replay(traffic: Traffic, rows: Rows, settings: Sequence[Setting], portions: Portions = WHOLE) -> Replayed:
    """`rows` are unit vectors in float32, one for each text. Memory beside them: some numbers for each call and each
    answer that a cache holds, and for one block its products and near pairs, however alike the texts are."""
    run = _Run(traffic, rows, settings, portions.tile)
    start = 0
    while start < len(traffic):
        end = min(start + portions.calls(run.held_texts), len(traffic))
        run.block(start, end)
        start = end
    return run.result()


class _Run:
    def __init__(self, traffic: Traffic, rows: Rows, settings: Sequence[Setting], tile: int) -> None:
        self._traffic, self._rows, self._tile = traffic, rows, tile
        self.held_texts = 0
        pairs = np.stack([traffic.key, traffic.text], axis=1)
        _found, first, nodes = np.unique(pairs, axis=0, return_index=True, return_inverse=True)
        self._nodes: list[int] = nodes.reshape(-1).tolist()
        self._text_of: Numbers = traffic.text[first]
        self._models = int(traffic.model.max(initial=0)) + 1
        self._need: Rows = np.full(len(first), _NEVER, dtype=np.float32)
        self._holders = [0] * len(first)
        self._columns: dict[int, list[int]] = defaultdict(list)
        self._at_s: list[float] = traffic.at_s.tolist()
        self._model: list[int] = traffic.model.tolist()
        self._key: list[int] = traffic.key.tolist()
        self._is_answered: list[bool] = traffic.is_answered.tolist()
        self._caches = [_Cache(self, place, setting) for place, setting in enumerate(settings)]

    @property
    def traffic(self) -> Traffic:
        return self._traffic

    def slots(self, setting: Setting) -> list[int]:
        """One for each call."""
        if setting.is_shared:
            return self._nodes
        return [node * self._models + model for node, model in zip(self._nodes, self._model, strict=True)]

    def slot_of(self, setting: Setting, node: int, call: int) -> int:
        return node if setting.is_shared else node * self._models + self._model[call]

    def held(self, call: int, threshold: np.float32) -> None:
        node = self._nodes[call]
        if self._need[node] == _NEVER:
            self._columns[self._key[call]].append(node)
            self.held_texts += 1
        self._holders[node] += 1
        self._need[node] = min(self._need[node], threshold)

    def released(self, call: int) -> None:
        node = self._nodes[call]
        self._holders[node] -= 1
        if not self._holders[node]:
            self._need[node] = _NEVER
            self.held_texts -= 1

    def block(self, start: int, end: int) -> None:
        by_key: dict[int, list[int]] = defaultdict(list)
        for call in range(start, end):
            by_key[self._key[call]].append(call)
        before: dict[int, Near] = {}
        inside: dict[int, _Inside] = {}
        for key, calls in by_key.items():
            nodes = sorted({self._nodes[call] for call in calls})
            vectors = self._rows[self._text_of[nodes]]
            before.update(self._before(key, nodes, vectors))
            if len(nodes) > 1:
                found = _Inside(np.array(nodes), vectors @ vectors.T)
                inside.update((node, found) for node in nodes)
        for call in range(start, end):
            self._ask(call, before, inside)

    def _before(self, key: int, nodes: list[int], vectors: Rows) -> dict[int, Near]:
        """For each node of the block, those that were held or awaited before it, with their cosine."""
        alive = [node for node in dict.fromkeys(self._columns.get(key, ())) if self._need[node] < _NEVER]
        if not alive:
            self._columns.pop(key, None)
            return {}
        self._columns[key] = alive
        mine = set(nodes)
        others = np.array([node for node in alive if node not in mine], dtype=np.int64)
        found: dict[int, list[Near]] = defaultdict(list)
        for first in range(0, len(others), self._tile):
            tile = others[first : first + self._tile]
            products = vectors @ self._rows[self._text_of[tile]].T
            lines, columns = np.nonzero(products >= self._need[tile])
            cuts = np.searchsorted(lines, np.arange(len(nodes) + 1))
            for line in np.unique(lines).tolist():
                some = columns[cuts[line] : cuts[line + 1]]
                found[nodes[line]].append(Near(tile[some], products[line, some]))
        return {node: together(parts) for node, parts in found.items()}

    def _ask(self, call: int, before: dict[int, Near], inside: dict[int, _Inside]) -> None:
        node, now_s = self._nodes[call], self._at_s[call]
        for cache in self._caches:
            cache.store.advance(now_s)
        parts = [before[node]] if node in before else []
        if node in inside:
            parts.append(inside[node].near(node, self._need))
        near = together(parts).likest_first() if parts else []
        for cache in self._caches:
            cache.ask(call, node, near, is_kept=self._is_answered[call])

    def result(self) -> Replayed:
        outcomes = tuple(cache.account.outcome(cache.store) for cache in self._caches)
        return Replayed(outcomes, tuple(cache.account.served() for cache in self._caches))


@dataclass(frozen=True, slots=True)
class _Inside:
    """The products among a block's own nodes of one key; which of them are held changes from call to call."""

    nodes: Numbers
    products: Rows

    def near(self, node: int, need: Rows) -> Near:
        row = self.products[np.searchsorted(self.nodes, node)]
        is_near = (row >= need[self.nodes]) & (self.nodes != node)
        return Near(self.nodes[is_near], row[is_near])


class _Cache:
    def __init__(self, run: _Run, place: int, setting: Setting) -> None:
        ready_s = (run.traffic.at_s + run.traffic.duration_s).tolist()
        self._run, self._setting = run, setting
        self._is_exact = setting.threshold is None
        self._threshold = np.float32(_NEVER if setting.threshold is None else setting.threshold)
        gone = (lambda _row: None) if self._is_exact else run.released
        self.store = Store(setting, ready_s, run.slots(setting), gone)
        self.account = Account(setting, run.traffic)

    def ask(self, call: int, node: int, near: list[tuple[float, int]], *, is_kept: bool) -> None:
        slot = self._run.slot_of(self._setting, node, call)
        found, likeness = self.store.at(slot), 1.0
        if found is None and not self._is_exact:
            found, slot, likeness = self._nearest(call, near, slot)
        if found is not None:
            self.store.use(slot)
            self.account.hit(call, found, likeness)
        elif is_kept:
            self.store.keep(call)
            if not self._is_exact:
                self._run.held(call, self._threshold)

    def _nearest(self, call: int, near: list[tuple[float, int]], slot: int) -> tuple[int | None, int, float]:
        for likeness, other in near:
            if likeness < self._threshold:
                break
            slot = self._run.slot_of(self._setting, other, call)
            found = self.store.at(slot)
            if found is not None:
                return found, slot, likeness
        return None, slot, 0.0
