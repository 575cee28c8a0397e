"""Parcels that wait in memory for the courier: bounded by bytes, overflowing to disk, oldest first."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from .spool import Parcel, Spool

MEMORY_BYTES = 4 * 1024 * 1024
MEMORY_BYTES_WITHOUT_DISK = 16 * 1024 * 1024


class Outbox:
    """Filled by the packer, emptied by the courier; a deque makes the hand-over safe without a lock."""

    def __init__(self, spool: Spool | None, dropped: Callable[[str, int], None]) -> None:
        self._spool = spool
        self._dropped = dropped
        self._parcels: deque[Parcel] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._parcels)

    def add(self, parcel: Parcel) -> None:
        """At the end of the line; what is too much goes to disk, or is dropped and counted."""
        self._parcels.append(parcel)
        self._bytes += len(parcel.body)
        if self._bytes > MEMORY_BYTES:
            self.to_disk()
        self._bound()

    def give_back(self, parcel: Parcel) -> None:
        """At the head of the line, where it came from."""
        self._parcels.appendleft(parcel)
        self._bytes += len(parcel.body)
        self._bound()

    def take(self) -> Parcel | None:
        try:
            parcel = self._parcels.popleft()
        except IndexError:
            self._bytes = 0
            return None
        self._bytes -= len(parcel.body)
        return parcel

    def to_disk(self) -> None:
        """Everything, in order; from the first parcel that the disk refuses on, all stay in memory."""
        for _ in range(len(self._parcels)):
            parcel = self.take() if self._spool is not None else None
            if parcel is None or self._spool is None:
                return
            if not self._spool.put(parcel):
                self._parcels.appendleft(parcel)
                self._bytes += len(parcel.body)
                return

    def abandon(self) -> int:
        """Forgets everything; answers how many spans that were."""
        spans = sum(parcel.spans for parcel in self._parcels)
        self._parcels.clear()
        self._bytes = 0
        return spans

    def _bound(self) -> None:
        while self._bytes > MEMORY_BYTES_WITHOUT_DISK:
            parcel = self.take()
            if parcel is None:
                return
            self._dropped("no_room", parcel.spans)
