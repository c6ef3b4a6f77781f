"""The requests that one partition of a state has counted: looked at before each decision, forgotten after a day."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from larder.declaring.counted_requests import CountedRequest, is_forgotten
from larder.operators.owned_rows import OwnedRows, Written

FORGET_SECONDS = 600.0
"""The interval at which requests are looked through for old ones."""


class CountedRequests:
    """Requests by id; a chore that forgets old ones, a slice at a time."""

    def __init__(self, rows: OwnedRows) -> None:
        self._rows = rows
        self._slices: Iterator[Sequence[bytes]] | None = None
        self._next = 0.0

    def full(self) -> bool:
        """Return whether too many are on their way to the topic and back."""
        return self._rows.full()

    def find(self, id_: bytes) -> CountedRequest | None:
        """Return a request that was decided, also in the open unit."""
        raw = self._rows.raw(id_)
        return None if raw is None else msgspec.json.decode(raw, type=CountedRequest)

    def check(self, request: CountedRequest, timestamp: int) -> None:
        """Raise ValueError if a request cannot be kept: it has its row as well, which may be too large together."""
        self._rows.check(_written(request), timestamp)

    def keep(self, request: CountedRequest, timestamp: int) -> None:
        """Write a request that was decided, in the open unit; `timestamp` in milliseconds."""
        self._rows.write(_written(request), timestamp)

    def tick(self, now: float) -> bool:
        """Forget a slice of old requests, now and then; return whether there is more."""
        if self._slices is None:
            if now < self._next or not self._rows.caught_up():
                return False
            self._slices, self._next = self._rows.slices(), now + FORGET_SECONDS
        if (found := next(self._slices, None)) is None:
            self._slices = None
            return False
        counted = [msgspec.json.decode(each, type=CountedRequest) for each in found]
        old = [each.id for each in counted if is_forgotten(each, now) and self._rows.written(each.id) is None]
        for id_ in old:
            self._rows.write(Written(id_, None, None), int(now * 1000))
        if old:
            self._rows.fence()
        return True


def _written(request: CountedRequest) -> Written:
    return Written(request.id, msgspec.json.encode(request), None)
