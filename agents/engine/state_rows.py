"""Whether a decide can read its own rows: it decides nothing while one of them is unreadable.

Without it a decide would begin again from nothing, and publish that over the rows that it cannot read.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from agents.engine.held import HeldTable
from tables.declaring.problems import Problem
from tables.engine.falling import shown

log = logging.getLogger("larder")


class StateRows:
    """The rows of a decide's state in one partition."""

    def __init__(self, table: HeldTable, partition: int) -> None:
        self._table = table
        self._partition = partition

    def are_readable(self) -> bool:
        return not self._table.unreadable(self._partition)

    def tick(self, now: float) -> bool:  # noqa: ARG002  it waits for rows, not for a time
        """Say once that there are rows that cannot be read, and once that there are none any more."""
        said = self._table.said_unreadable
        if self.are_readable():
            if self._partition in said:
                said.remove(self._partition)
                log.info("table %s partition %d: all rows can be read again", self._table.topic.name, self._partition)
        elif self._partition not in said and self._table.caught_up(self._partition):
            said.add(self._partition)
            log.error("%s", unreadable_rows(self._table, self._partition))
        return False


def unreadable_rows(table: HeldTable, partition: int) -> Problem:
    """What to tell of a state with rows that cannot be read."""
    sample = next(table.table.part(partition).unreadable.all(partition))
    return Problem(
        f"state {table.topic.name}, partition {partition}",
        "a decide requires that it can read each of its rows",
        f"rows that cannot be read under {table.unreadable(partition)} of its keys, for instance {shown(sample.key)}"
        f" at offset {sample.offset}: {sample.cause}",
        "records of its inputs are held back, and nothing is lost: give a new field a default, or go back to the row"
        " type of before; or publish a row or a deletion under each of these keys",
    )


def held_back_by(tables: Iterable[HeldTable], partition: int) -> str | None:
    """Why an input's partition is held back by those states; None where it is not."""
    problems = [unreadable_rows(table, partition) for table in tables if table.unreadable(partition)]
    return f"held back: {'; '.join(map(str, problems))}" if problems else None
