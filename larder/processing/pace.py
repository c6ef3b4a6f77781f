"""When a unit of delivery is closed: at once while there is nothing else to do, and later while commits are slow.

Each commit has a fixed price, whatever it commits. Workers that share a busy machine or broker would spend all of it on
commits of single records, each slower than the one before. So after a commit that took more than twice as long as the
fastest one, a unit gathers records for a multiple of the rest, and at most for the commit interval. The module only
decides.
"""

from typing import Final

PATIENCE: Final = 4.0
"""How long a unit gathers, as a multiple of what the commit before it took beyond its usual time."""

USUAL: Final = 2.0
"""A commit usually takes up to this multiple of the fastest one."""


class Pace:
    """The times of the last commits, all in seconds on one clock, which may be set back."""

    def __init__(self, interval: float, now: float) -> None:
        """Start at `now`; a unit is closed after `interval` at the latest."""
        self._interval = interval
        self._closed_at = now
        self._gathers = 0.0
        self._fastest = interval

    def closed(self, now: float) -> None:
        """Note that a unit is closed."""
        self._closed_at, self._gathers = now, 0.0

    def committed(self, now: float) -> None:
        """Note that the unit closed last is committed; how long it took is unknown if the clock was set back."""
        took = now - self._closed_at
        if took < 0:
            return
        self._fastest = min(self._fastest, took)
        self._gathers = took + PATIENCE * max(0.0, took - USUAL * self._fastest)

    def left(self, now: float) -> float:
        """Return how long the open unit still gathers; nothing if the clock was set back."""
        since = now - self._closed_at
        return min(self._gathers, self._interval) - since if since >= 0 else 0.0

    def is_due(self, now: float, *, idle: bool, awaited: bool) -> bool:
        """Return whether the open unit is closed. A client that awaits it waits for no other records."""
        return awaited or (idle and self.left(now) <= 0) or now - self._closed_at >= self._interval
