"""Who waits for what: an index over the waiting records of one input partition, and nothing else.

Records by id in the order of their arrival, by the rows that may set them free, and by their own key in the
order in which they came. Pure data: no I/O, no clock.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

Partner = tuple[int, bytes]
"""A row that is waited for: the number of the lookup, and the encoded key in its table."""


@dataclass(eq=False)
class WaitingPlace:
    """One record that waits, under its id; `timestamp` in milliseconds, `deadline` in seconds, since the epoch."""

    id: bytes
    key: bytes | None
    offset: int
    timestamp: int
    deadline: float
    partners: tuple[Partner, ...] = ()


class Places:
    """All places of one partition."""

    def __init__(self) -> None:
        self._by_id: dict[bytes, WaitingPlace] = {}
        self._by_partner: dict[Partner, dict[bytes, None]] = {}
        self._by_key: dict[bytes | None, deque[bytes]] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[WaitingPlace]:
        """Places as they arrived; may be changed meanwhile."""
        return iter(list(self._by_id.values()))

    def get(self, waiting: bytes) -> WaitingPlace | None:
        return self._by_id.get(waiting)

    def front(self) -> WaitingPlace:
        """The one that arrived first, or rather the first of its key."""
        oldest = next(iter(self._by_id.values()))
        return self._by_id[self._by_key[oldest.key][0]]

    def queued(self, key: bytes | None, offset: int) -> bool:
        """A record of that key waits that came before `offset`, or at it."""
        first = self.first(key)
        return first is not None and first.offset <= offset

    def first(self, key: bytes | None) -> WaitingPlace | None:
        """The record of that key that has to go before all others of it."""
        queue = self._by_key.get(key)
        return self._by_id[queue[0]] if queue else None

    def is_first(self, place: WaitingPlace) -> bool:
        """It waits, and no other of its key has to go before it."""
        return self.first(place.key) is place

    def add(self, place: WaitingPlace) -> None:
        """Add at the end, under an id that is free.

        Among those of its key its place is by its offset: after a crash, records come again whose successors wait.
        """
        self._by_id[place.id] = place
        insort(self._by_key.setdefault(place.key, deque()), place.id, key=lambda waiting: self._by_id[waiting].offset)
        self.wait_for(place, place.partners)

    def remove(self, place: WaitingPlace) -> None:
        del self._by_id[place.id]
        self.wait_for(place, ())
        queue = self._by_key[place.key]
        queue.remove(place.id)
        if not queue:
            del self._by_key[place.key]

    def wait_for(self, place: WaitingPlace, partners: Iterable[Partner]) -> None:
        """Note which rows may set `place` free, instead of those noted before."""
        for partner in place.partners:
            waiting = self._by_partner.get(partner, {})
            waiting.pop(place.id, None)
            if not waiting:
                self._by_partner.pop(partner, None)
        place.partners = tuple(partners)
        for partner in place.partners:
            self._by_partner.setdefault(partner, {})[place.id] = None

    def waiting_for(self, partner: Partner) -> list[WaitingPlace]:
        return [self._by_id[waiting] for waiting in self._by_partner.get(partner, ())]

    def overdue(self, due: float) -> list[WaitingPlace]:
        """Those whose deadline is at or before `due`; all wait equally long, so the first that is not ends it."""
        found = []
        for place in self._by_id.values():
            if place.deadline > due:
                break
            found.append(place)
        return found
