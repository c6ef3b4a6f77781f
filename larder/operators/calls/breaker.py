"""A circuit breaker: after several failures of an outage, a worker stops calling, and tries one call from time to time.

It counts failures of different keys that began after the last success began. So neither one bad event nor a burst of
quick failures beside slow successes opens it. Pure: the caller says what the time is.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

OPENS_AT: Final = 5
"""Failures of so many different keys open it."""

FIRST_SECONDS: Final = 1.0
LONGEST_SECONDS: Final = 30.0
"""The pause before a trial call; it doubles with each one that fails."""


class BreakerState(StrEnum):
    """Closed: calls are made. Open: none is. Half-open: one is made as a trial."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Breaker:
    """The breaker of one call in one worker. Times are in seconds since the epoch."""

    def __init__(self) -> None:
        self.state = BreakerState.CLOSED
        self.until = 0.0
        self._failed: set[bytes] = set()
        self._succeeded = float("-inf")
        self._pause = FIRST_SECONDS
        self._trial: str | None = None

    def admits(self, now: float) -> bool:
        """Return whether a call may begin."""
        return self.state is BreakerState.CLOSED or (self._trial is None and now >= self.until)

    def begin(self, call: str) -> None:
        """Note that a call begins: while the breaker is open, it is the trial."""
        if self.state is BreakerState.OPEN:
            self.state, self._trial = BreakerState.HALF_OPEN, call

    def succeeded(self, began: float) -> None:
        """Note that the other side has answered, whatever it said."""
        if self.state is not BreakerState.CLOSED and began < self.until:
            return  # It began before the breaker opened: that says nothing about now.
        self.state, self._trial, self._pause = BreakerState.CLOSED, None, FIRST_SECONDS
        self._failed.clear()
        self._succeeded = max(self._succeeded, began)

    def failed(self, call: str, place: bytes, began: float, now: float) -> bool:
        """Note a failure of an outage; return whether it counts as one of the call: the outage was not known yet."""
        if self.state is not BreakerState.CLOSED:
            if call == self._trial:
                self._pause = min(2 * self._pause, LONGEST_SECONDS)
                self._open(now)
            return False
        if began > self._succeeded:
            self._failed.add(place)
        if len(self._failed) >= OPENS_AT:
            self._open(now)
        return True

    def drop(self, call: str) -> None:
        """Note that a call that was to begin does not: another one may be the trial."""
        if call == self._trial:
            self.state, self._trial = BreakerState.OPEN, None

    def _open(self, now: float) -> None:
        self.state, self._trial, self.until = BreakerState.OPEN, None, now + self._pause
        self._failed.clear()
