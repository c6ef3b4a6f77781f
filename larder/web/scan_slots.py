"""Limits how many lists are made at a time: more would slow down ingestion and single rows."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from larder.declaring.problems import Problem
from larder.queries.lookup_errors import TooBusyError

if TYPE_CHECKING:
    from collections.abc import Iterator

# They take turns with each other and with ingestion, in slices of milliseconds: eight take well below a second.
SCANS = 8

HOPPED_SCANS = 4 * SCANS
"""Places for parts of lists for other workers: otherwise, workers that wait for each other's parts would refuse each
other."""


class ScanSlots:
    """A fixed number of places. A request that finds none free is refused at once, and does not queue."""

    def __init__(self, count: int = SCANS, what: str = "a list of rows") -> None:
        """Start with all places free; `what` names the requests that take them."""
        self.count = count
        self._what = what
        self.taken = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """Take a place during the block; raises TooBusyError if all are taken."""
        if self.taken >= self.count:
            found = "none free"
            raise TooBusyError(Problem(self._what, f"requires one of {self.count} places", found, "ask again"))
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1
