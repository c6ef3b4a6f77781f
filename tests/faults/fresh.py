"""Followers after compaction has removed old records and tombstones: a worker without stores, and one that was down.

Both must end up with the same rows as all others.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Mapping, Sequence

from aiokafka.partitioner import murmur2

from tests.faults.asking import Asker
from tests.faults.compaction import expire_soon, is_compacted
from tests.faults.field import Field
from tests.faults.history import Violation
from tests.faults.writing import Writer

NEW = "four"
AWAY = "three"
PARTITIONS = 4

COMPACTED_SECONDS = 45.0
"""Time for two runs of the cleaner: one marks tombstones, the next removes those that were kept for long enough."""

ANSWER_SECONDS = 40.0
"""Time for a new worker to start, read everything, and answer."""

FIELDS: Mapping[str, str] = {"customers": "customer_id", "products": "product_id", "clients": "client_id"}
"""The key fields of the owner topics that are compacted to their last records."""


AWAY_SECONDS = 11.0
"""Longer than the shortest time for which a worker assumes that tombstones are kept (ten seconds for any topic)."""


async def begin_anew(field: Field, writer: Writer, asker: Asker, rows: Sequence[tuple[str, str]]) -> None:
    """Compact, start a worker without stores, and record its answers about `rows` (table and key)."""
    if await _compacted(field, writer, rows):
        shutil.rmtree(field.workers[NEW].tables, ignore_errors=True)
        field.history.note("all topics are compacted; a worker starts without stores")
        field.start(NEW)
        await _answers(field, asker, NEW, rows)


async def be_away(field: Field, writer: Writer, asker: Asker, rows: Sequence[tuple[str, str]]) -> None:
    """While a worker is down, delete rows and then their tombstones; `rows` as for `begin_anew`."""
    await field.stop(AWAY)
    until = time.monotonic() + AWAY_SECONDS
    last = {(each.topic, each.key): each for each in field.history.written if each.revision is not None}
    for table, key in rows[::2]:
        written = last.get((table, key))
        if written is not None and written.value is not None:
            await writer.send(table, key, None, (written.revision or 0) + 1)
    if await _compacted(field, writer, rows):
        await asyncio.sleep(until - time.monotonic())
        field.history.note("all topics are compacted; a worker returns")
        field.start(AWAY)
        await _answers(field, asker, AWAY, rows)


async def _compacted(field: Field, writer: Writer, rows: Sequence[tuple[str, str]]) -> bool:
    """Compact until no tombstone is left."""
    topics = [name for name in FIELDS if any(table == field.name(name) for table, _ in rows)]
    await expire_soon(field.rig.kafka, [field.name(topic) for topic in topics])
    fillers = _fillers()
    revision, deadline = 0, time.monotonic() + COMPACTED_SECONDS
    while topics:
        # A segment ends when a later record arrives, and only ended segments are compacted.
        revision += 1
        for topic in topics:
            for key in fillers:
                row = {FIELDS[topic]: key, "name": f"filler {revision}", "revision": revision}
                await writer.send(field.name(topic), key, row, revision)
        topics = [topic for topic in topics if not await is_compacted(field.rig.kafka, field.name(topic), fillers)]
        if topics and time.monotonic() > deadline:
            field.history.violations.append(Violation("suite", f"{topics} were not compacted"))
            return False
        await asyncio.sleep(0.3)
    return True


async def _answers(field: Field, asker: Asker, worker: str, rows: Sequence[tuple[str, str]]) -> None:
    """Return the rows of the global table."""
    deadline = time.monotonic() + ANSWER_SECONDS
    for table, key in [each for each in rows if each[0] == field.name("customers")]:
        while (answer := await asker.ask(worker, table, key)) is None or answer.status == 503:
            if time.monotonic() > deadline:
                what = f"worker {worker} does not know of {key} in {table}"
                field.history.violations.append(Violation("hangs", what))
                return
            await asyncio.sleep(0.1)


def _fillers() -> list[str]:
    """Return a key for each partition."""
    found: dict[int, str] = {}
    for number in range(100):
        found.setdefault((murmur2(b"z%d" % number) & 0x7FFFFFFF) % PARTITIONS, f"z{number}")
    return list(found.values())
