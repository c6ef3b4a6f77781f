"""Checks that a service can read what it keeps. Operators that need it stop while one of its records is unreadable.

Otherwise a decide would start from nothing and overwrite the rows that it cannot read, a waiting record would never
be joined, and a wake-up would never fire.
"""

from __future__ import annotations

from collections.abc import Iterable

from larder.declaring.problems import Problem
from larder.delivery.headers import GENERATION_HEADER
from larder.local_tables.table import LocalTable
from larder.store.applying.revision_regressions import shown


class KeptRows:
    """The rows of one partition of a table that needs each of its rows."""

    def __init__(self, table: LocalTable, partition: int) -> None:
        self._table = table
        self._partition = partition

    def tick(self, now: float) -> bool:  # noqa: ARG002  it waits for rows, not for a time
        """Log once that there are unreadable rows, and once that all are readable again."""
        view = self._table.at(self._partition)
        if not view.unreadable():
            self._table.announcements.readable(self._partition)
        elif view.is_read():
            self._table.announcements.unreadable(self._partition, unreadable_rows(self._table, self._partition))
        return False


def unreadable_rows(table: LocalTable, partition: int) -> Problem:
    """Return the problem of a table with rows that cannot be read."""
    sample = next(table.stored.shard(partition).unreadable.all(partition))
    found = (
        f"rows that cannot be read under {table.unreadable(partition)} of its keys, for instance {shown(sample.key)}"
        f" at offset {sample.offset}: {sample.cause}"
    )
    where = f"{table.topic.name}, partition {partition}"
    return Problem(
        f"state {where}" if table.role.decided_on else f"internal topic {where}",
        "a decide requires that each of its rows can be read"
        if table.role.decided_on
        else "a service requires that it can read everything that it keeps there, such as waiting records and wake-ups",
        found,
        "records of its inputs are held back, and nothing is lost: "
        + (_STATE_DO if table.role.decided_on else _KEPT_DO),
    )


_STATE_DO = (
    "give each new field a default, or go back to the previous row type; or publish a row or a deletion under each of"
    " these keys"
)
_KEPT_DO = (
    "start the version of Larder that wrote these records; or discard them: publish a deletion under each of these"
    f" keys, with the header {GENERATION_HEADER}"
)


def held_back_by(tables: Iterable[LocalTable], partition: int) -> str | None:
    """Return why these tables hold back an input's partition; None if they do not."""
    problems = [unreadable_rows(table, partition) for table in tables if table.unreadable(partition)]
    return f"held back: {'; '.join(map(str, problems))}" if problems else None
