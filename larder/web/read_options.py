"""A client's requirements for an answer: a write that it must contain, its age, whether only this worker answers.

They are the same for one row and for lists, and for requests to other workers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Self

from larder.store import read_token, until_applied

if TYPE_CHECKING:
    from collections.abc import Collection

    from larder.store import Table
    from larder.web.parameters import Query

LONGEST_WAIT = 10.0
"""Seconds that a read may wait for a write."""

USUAL_WAIT = 2.0

OLDEST = 1e9
"""Seconds: older than any copy."""

PARAMETERS = ("after", "within", "max_staleness", "local")


class ReadOptions(NamedTuple):
    """`after` is the token of a write, and `within` how many seconds to wait for it."""

    after: str | None
    within: float
    max_staleness: float | None
    local: bool

    @property
    def wait(self) -> float:
        """The additional seconds that the answer may take because of these options."""
        return self.within if self.after else 0.0

    def later(self, seconds: float) -> Self:
        """Return the options for the time left after `seconds`."""
        return self._replace(within=max(0.0, self.within - seconds))

    def query(self) -> list[tuple[str, Any]]:
        """Return the options as a query to another worker."""
        given = {
            "after": self.after,
            "within": self.within if self.after else None,
            "max_staleness": self.max_staleness,
        }
        return [(name, value) for name, value in given.items() if value is not None]

    async def written(self, table: Table, partitions: Collection[int]) -> None:
        """Wait until the write is in these local partitions; raises the StoreErrors of `until_applied`."""
        if self.after is not None:
            await until_applied(table, read_token(self.after), self.within, partitions)


NOTHING = ReadOptions(None, USUAL_WAIT, None, local=False)


def wanted_of(asked: Query) -> ReadOptions:
    """Read the options of a request."""
    within = asked.number("within", 0, LONGEST_WAIT)
    return ReadOptions(
        asked.text("after"),
        USUAL_WAIT if within is None else within,
        asked.number("max_staleness", 0, OLDEST),
        asked.flag("local"),
    )
