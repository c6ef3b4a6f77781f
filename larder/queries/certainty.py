"""When it may be said that a key has no row here: its partition is caught up on this worker, and fresh.

Everything else is "ask again" or "ask elsewhere". Decides from the table's states and the time.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from larder.declaring.problems import Problem
from larder.kafka.partitioner import partition_of
from larder.queries.lookup_errors import NotHereError, NotSureError
from larder.queries.row_answers import measures, state_name
from larder.store import Phase, Table, progress

if TYPE_CHECKING:
    from collections.abc import Iterable

    from larder.local_tables.table import LocalTable

LONGEST_RETRY = 30
"""Seconds: an expected end that is farther away may come nearer, so that it is worth asking again before."""


def asked_of(held: LocalTable, text: str, key: bytes) -> list[int]:
    """Give the partitions that may hold a key; raises NotSureError while no broker has reported how many there are."""
    if not held.partition_count:
        raise unplaced(held, f"key {text}")
    return partitions_of_key(held, key)


def partitions_of_key(held: LocalTable, key: bytes) -> list[int]:
    """Give the partitions that may hold a key; a global table is asked whole: its owner may place keys as it likes."""
    count = held.partition_count
    return [partition_of(key, count)] if held.held == "partition" and count else list(range(count))


def unplaced(held: LocalTable, asked: str) -> NotSureError:
    """Say that no broker has reported yet how many partitions there are, so that nobody knows where a key lies."""
    found = "starting: no broker has told yet how many partitions there are"
    return NotSureError(_uncertain(held.stored, asked, found, "ask again"), state="starting")


def require_certain(held: LocalTable, asked: str, partitions: Iterable[int], now: float, max_age: float) -> None:
    """Raise why what is not here may yet exist: NotSureError, or NotHereError; nothing when it cannot."""
    if not held.partition_count:
        raise unplaced(held, asked)
    for partition in partitions:
        if (doubt := _doubt(held.stored, asked, partition, now, max_age)) is not None:
            raise doubt


def _doubt(table: Table, asked: str, partition: int, now: float, max_age: float) -> NotSureError | None:
    if partition not in table.partitions:
        return not_here(table, asked, partition)
    state = table.state(partition)
    age = state.freshness(now)
    if state.phase is Phase.CAUGHT_UP and age is not None and age <= max_age:
        return None
    if state.phase is Phase.CAUGHT_UP:
        met = "never" if age is None else f"{age:.1f} s ago"
        return recovering(table, asked, partition, now, f"partition {partition}, whose end was last met {met}")
    end = "?" if state.end is None else state.end
    found = f"partition {partition} {state_name(state.phase)}, at {state.position} of {end}"
    if state.stands_by:
        do = "ask the worker that processes it"
        return NotHereError(_uncertain(table, asked, found, do), partition=partition, **measures(state, now))
    return recovering(table, asked, partition, now, found)


def not_here(table: Table, asked: str, partition: int) -> NotHereError:
    """Say that a partition is not on this worker."""
    here = ", ".join(map(str, table.partitions)) or "none"
    found, do = f"partition {partition} not on this worker (here: {here})", "ask the worker that processes it"
    return NotHereError(_uncertain(table, asked, found, do), partition=partition, state="not here")


def recovering(table: Table, asked: str, partition: int, now: float, found: str) -> NotSureError:
    """Say that a partition that is here is not far enough, and when it will be."""
    state = table.state(partition)
    expected = progress(state, now).expected
    known = measures(state, now) | {"expected_end_s": None if expected is None else round(expected, 1)}
    retry_after = None if expected is None else min(LONGEST_RETRY, max(1, math.ceil(expected)))
    return NotSureError(
        _uncertain(table, asked, found, "ask again"), retry_after=retry_after, partition=partition, **known
    )


def _uncertain(table: Table, asked: str, found: str, do: str) -> Problem:
    return Problem(f"table {table.topic.name}, {asked}", "requires the partition, caught up", found, do)
