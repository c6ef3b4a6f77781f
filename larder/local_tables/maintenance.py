"""Maintains tables in the background: builds new indexes, forgets old deletions, and sweeps.

It works in slices and yields between them, while the tables keep serving. Knows tables only.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection

from larder.local_tables.table import LocalTable

log = logging.getLogger("larder")

SLICE_ROWS = 800
"""Rows checked in one slice, over all open partitions of a table: less than 2 ms."""

PAUSE_SECONDS = 0.006
"""Between slices while there is more to do: records still get three quarters of the time."""

IDLE_SECONDS = 1.0
"""How often idle tables are checked: only a newly opened store or an old deletion brings work."""


async def maintain(tables: Collection[LocalTable]) -> None:
    """Maintain the open partitions of `tables` until cancelled."""
    while True:
        more = False
        for table in tuple(tables):
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
