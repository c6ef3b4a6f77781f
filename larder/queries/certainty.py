"""Decides whether a missing row is certain: its partition is on this worker, caught up and fresh.

Otherwise the answer is "ask again" or "ask elsewhere". Decides from the table's states and the time.
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
"""In seconds: a recovery that is expected to take longer may still speed up, so ask again before its end."""


def require_partitions_of_key(held: LocalTable, text: str, key: bytes) -> list[int]:
    """Return the partitions that may have a key; raise NotSureError while their number is unknown."""
    if not held.partition_count:
        raise unplaced(held, f"key {text}")
    return partitions_of_key(held, key)


def partitions_of_key(held: LocalTable, key: bytes) -> list[int]:
    """Return the partitions that may have a key: all of a global table, whose owner may place keys as it likes."""
    count = held.partition_count
    return [partition_of(key, count)] if held.held == "partition" and count else list(range(count))


def unplaced(held: LocalTable, asked: str) -> NotSureError:
    """Return the error of a table whose number of partitions is unknown, so that no key can be placed."""
    found = "starting: no broker has reported yet how many partitions there are"
    return NotSureError(_uncertain(held.stored, asked, found, "ask again"), state="starting")


def require_certain(held: LocalTable, asked: str, partitions: Iterable[int], now: float, max_age: float) -> None:
    """Raise NotSureError or NotHereError if a row that is not here may still exist."""
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
    """Return the error of a partition that is not on this worker."""
    here = ", ".join(map(str, table.partitions)) or "none"
    found, do = f"partition {partition} not on this worker (here: {here})", "ask the worker that processes it"
    return NotHereError(_uncertain(table, asked, found, do), partition=partition, state="not here")


def recovering(table: Table, asked: str, partition: int, now: float, found: str) -> NotSureError:
    """Return the error of a local partition that is not caught up, with the time when it is expected to be."""
    state = table.state(partition)
    expected = progress(state, now).expected
    known = measures(state, now) | {"expected_end_s": None if expected is None else round(expected, 1)}
    retry_after = None if expected is None else min(LONGEST_RETRY, max(1, math.ceil(expected)))
    return NotSureError(
        _uncertain(table, asked, found, "ask again"), retry_after=retry_after, partition=partition, **known
    )


def _uncertain(table: Table, asked: str, found: str, do: str) -> Problem:
    return Problem(f"table {table.topic.name}, {asked}", "requires the partition, caught up", found, do)
