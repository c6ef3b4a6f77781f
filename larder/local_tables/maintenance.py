"""Maintains tables in the background: builds indexes that were declared later, forgets old deletions, sweeps.

A slice at a time, with control given back between slices, while the tables serve. Knows tables only.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection

from larder.local_tables.table import LocalTable

log = logging.getLogger("larder")

SLICE_ROWS = 800
"""Rows looked at in one slice, over all open partitions of a table: less than 2 ms."""

PAUSE_SECONDS = 0.006
"""Between slices while there is more to do: the records' path keeps three quarters of the time."""

IDLE_SECONDS = 1.0
"""How often tables with nothing to do are looked at: only an opened store or an old deletion brings more."""


async def maintain(tables: Collection[LocalTable]) -> None:
    """Maintain `tables`, and whichever of their partitions are open, until cancelled."""
    while True:
        more = False
        for table in tables:
            more = _slice(table) or more
            await asyncio.sleep(PAUSE_SECONDS)
        if not more:
            await asyncio.sleep(IDLE_SECONDS)


def _slice(table: LocalTable) -> bool:
    before = table.stored.building
    more = table.maintain(max(1, SLICE_ROWS // max(1, len(table.partitions))))
    for index in before:
        if index not in table.stored.building:
            log.info("table %s: index %s is complete", table.topic.name, index)
    return more
