"""Logs the progress of a recovery that takes longer than a second: one line a second for each table.

Reads the states of tables, and keeps nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection

from larder.declaring.plurals import counted
from larder.local_tables.table import LocalTable
from larder.store.partition_state import Phase, State
from larder.store.reading.progress import progress_of

log = logging.getLogger("larder")

EVERY_SECONDS = 1.0


async def log_progress(tables: Collection[LocalTable], clock: Callable[[], float]) -> None:
    """Log until cancelled; `clock` returns seconds since the epoch."""
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        for table in tuple(tables):
            line = progress_line(table.states, clock())
            if line is not None:
                log.info("table %s: %s", table.topic.name, line)


def progress_line(states: Collection[State], now: float) -> str | None:
    """Return the progress of a table; None unless a partition has been recovering for a second."""
    begun = [state.measured_at for state in states if state.phase is Phase.RECOVERING]
    if not any(at is not None and now - at >= EVERY_SECONDS for at in begun):
        return None
    progress = progress_of(states, now)
    expected = "at an unknown time" if progress.expected is None else f"in {progress.expected:.0f} s"
    rows = counted(progress.rows, "row")
    return f"{rows}, {progress.rate:,.0f} rows/s, {progress.remaining:,} remaining, end expected {expected}"
