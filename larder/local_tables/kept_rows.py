"""Whether a service can read what it keeps: operators that need it do nothing while a record of it is unreadable.

Otherwise a decide would start from nothing, and publish over the rows that it cannot read; a waiting record would
never be joined, and a wake-up would never come.
"""

from __future__ import annotations

from collections.abc import Iterable

from larder.declaring.problems import Problem
from larder.delivery.headers import GENERATION_HEADER
from larder.local_tables.table import LocalTable
from larder.store.applying.revision_regressions import shown


class KeptRows:
    """The rows of one partition of a table of which each is needed."""

    def __init__(self, table: LocalTable, partition: int) -> None:
        self._table = table
        self._partition = partition

    def tick(self, now: float) -> bool:  # noqa: ARG002  it waits for rows, not for a time
        """Say once that there are rows that cannot be read, and once that there are none any more."""
        view = self._table.at(self._partition)
        if not view.unreadable():
            self._table.announcements.readable(self._partition)
        elif view.is_read():
            self._table.announcements.unreadable(self._partition, unreadable_rows(self._table, self._partition))
        return False


def unreadable_rows(table: LocalTable, partition: int) -> Problem:
    """What to say about a table with rows that cannot be read."""
    sample = next(table.stored.shard(partition).unreadable.all(partition))
    found = (
        f"rows that cannot be read under {table.unreadable(partition)} of its keys, for instance {shown(sample.key)}"
        f" at offset {sample.offset}: {sample.cause}"
    )
    where = f"{table.topic.name}, partition {partition}"
    return Problem(
        f"state {where}" if table.role.decided_on else f"internal topic {where}",
        "a decide requires that it can read each of its rows"
        if table.role.decided_on
        else "a service requires that it can read all that it keeps there, waiting records and wake-ups for instance",
        found,
        "records of its inputs are held back, and nothing is lost: "
        + (_STATE_DO if table.role.decided_on else _KEPT_DO),
    )


_STATE_DO = (
    "give a new field a default, or go back to the row type of before; or publish a row or a deletion under each of"
    " these keys"
)
_KEPT_DO = (
    "start the version of Larder that wrote these records; or do without them: publish a deletion under each of these"
    f" keys, with the header {GENERATION_HEADER}"
)


def held_back_by(tables: Iterable[LocalTable], partition: int) -> str | None:
    """Why an input's partition is held back by those tables; None where it is not."""
    problems = [unreadable_rows(table, partition) for table in tables if table.unreadable(partition)]
    return f"held back: {'; '.join(map(str, problems))}" if problems else None
