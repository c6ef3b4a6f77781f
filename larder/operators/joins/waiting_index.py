"""An index over the waiting records of one input partition.

It finds records by id, in order of arrival; by the rows that may release them; and by their own key, in order of
offset. Pure data: no I/O, no clock.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

Partner = tuple[int, bytes]
"""A row that a record waits for: the number of the lookup, and the encoded key in its table."""


@dataclass(eq=False)
class WaitingPlace:
    """The place of one waiting record; `timestamp` is in milliseconds, `deadline` in seconds since the epoch."""

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
        """Iterate over a copy of the places, in order of arrival."""
        return iter(list(self._by_id.values()))

    def get(self, waiting: bytes) -> WaitingPlace | None:
        return self._by_id.get(waiting)

    def front(self) -> WaitingPlace:
        """Return the first place of the key that has waited longest."""
        oldest = next(iter(self._by_id.values()))
        return self._by_id[self._by_key[oldest.key][0]]

    def queued(self, key: bytes | None, offset: int) -> bool:
        """Return whether a record of that key waits whose offset is at most `offset`."""
        first = self.first(key)
        return first is not None and first.offset <= offset

    def first(self, key: bytes | None) -> WaitingPlace | None:
        """Return the place of that key which must be released first."""
        queue = self._by_key.get(key)
        return self._by_id[queue[0]] if queue else None

    def is_first(self, place: WaitingPlace) -> bool:
        """Return whether a record waits, and is the first of its key to release."""
        return self.first(place.key) is place

    def add(self, place: WaitingPlace) -> None:
        """Add a place at the end, under a free id.

        Within its key it is ordered by offset: after a crash, records may come again whose successors already wait.
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
        """Note which rows may release `place`, and forget the previous ones."""
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
        """Return the places with a deadline up to `due`. All wait equally long, so stop at the first later one."""
        found = []
        for place in self._by_id.values():
            if place.deadline > due:
                break
            found.append(place)
        return found
