"""How many lists are made at the same time: more would take the time of ingestion and of single rows."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from larder.declaring.problems import Problem
from larder.queries.lookup_errors import TooBusyError

if TYPE_CHECKING:
    from collections.abc import Iterator

# Each takes turns with the others and with ingestion, in slices of milliseconds: eight answer in well below a second.
SCANS = 8

HOPPED_SCANS = 4 * SCANS
"""Parts of lists that other workers make. They have places of their own: workers that wait for each other's parts would
otherwise refuse them to each other."""


class ScanSlots:
    """So many at once; who finds none free is told so at once, and does not wait in a line without end."""

    def __init__(self, count: int = SCANS, what: str = "a list of rows") -> None:
        """Begin with all of them free; `what` takes one."""
        self.count = count
        self._what = what
        self.taken = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """Have one for as long as the block lasts; raises TooBusyError when all are taken."""
        if self.taken >= self.count:
            found = "none that is free"
            raise TooBusyError(Problem(self._what, f"requires one of {self.count} places", found, "ask again"))
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1
