"""A follower that begins anew after all that is old was compacted away, deletions too: it has what all others have."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Collection, Mapping, Sequence

from aiokafka.partitioner import murmur2

from tests.faults.asking import Asker
from tests.faults.compaction import EXPIRED, compact_soon, is_compacted
from tests.faults.field import Field
from tests.faults.history import Violation
from tests.faults.writing import Writer

NEW = "four"
PARTITIONS = 4

COMPACTED_SECONDS = 30.0
"""Two turns of the cleaner, a second apart: one marks deletions, the next one removes them."""

ANSWER_SECONDS = 40.0
"""For a new worker to start, read everything, and answer."""

FIELDS: Mapping[str, str] = {"customers": "customer_id", "products": "product_id", "clients": "client_id"}
"""The key fields of the owner topics that are compacted to their last records."""


async def begin_anew(field: Field, writer: Writer, asker: Asker, rows: Sequence[tuple[str, str]]) -> None:
    """Compact, start a worker without a store, and have it answer for `rows` (table and key); answers are recorded."""
    await compact_soon(field.rig.kafka, field.prefix, (), EXPIRED)
    topics = [name for name in FIELDS if any(table == field.name(name) for table, _ in rows)]
    fillers = _fillers()
    revision, deadline = 0, time.monotonic() + COMPACTED_SECONDS
    while topics:
        # A segment ends when something comes after it, and only what has ended is compacted.
        revision += 1
        for topic in topics:
            for key in fillers:
                row = {FIELDS[topic]: key, "name": f"filler {revision}", "revision": revision}
                await writer.send(field.name(topic), key, row, revision)
        topics = [topic for topic in topics if not await is_compacted(field.rig.kafka, field.name(topic), fillers)]
        if topics and time.monotonic() > deadline:
            field.history.violations.append(Violation("suite", f"{topics} were not compacted"))
            return
        await asyncio.sleep(0.3)
    shutil.rmtree(field.workers[NEW].tables, ignore_errors=True)
    field.history.note("all is compacted; a worker begins anew")
    field.start(NEW)
    await _answers(field, asker, [(table, key) for table, key in rows if table == field.name("customers")])


async def _answers(field: Field, asker: Asker, rows: Collection[tuple[str, str]]) -> None:
    deadline = time.monotonic() + ANSWER_SECONDS
    for table, key in rows:
        while (answer := await asker.ask(NEW, table, key)) is None or answer.status == 503:
            if time.monotonic() > deadline:
                field.history.violations.append(Violation("hangs", f"worker {NEW} does not know of {key} in {table}"))
                return
            await asyncio.sleep(0.1)


def _fillers() -> list[str]:
    """A key for each partition."""
    found: dict[int, str] = {}
    for number in range(100):
        found.setdefault((murmur2(b"z%d" % number) & 0x7FFFFFFF) % PARTITIONS, f"z{number}")
    return list(found.values())
