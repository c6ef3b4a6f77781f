"""Forced compaction really compacts. Otherwise new followers would be tested on topics that still have every record."""

from __future__ import annotations

from tests.faults.compaction import expire_soon, is_compacted
from tests.support.topics import COMPACTED, create, read, send, until


async def test_only_the_last_records_are_left_and_no_tombstones(kafka: str, prefix: str) -> None:
    topic, events = f"{prefix}.rows", f"{prefix}.events"
    await create(kafka, {topic: 1}, {**COMPACTED, "message.timestamp.type": "LogAppendTime"})
    await create(kafka, {events: 1})
    await send(kafka, topic, [("k1", {"revision": 1}), ("k1", {"revision": 2}), ("k2", {"revision": 1}), ("k2", None)])
    await send(kafka, events, [("k1", {}), ("k1", {})])
    assert not await is_compacted(kafka, topic, ["filler"])
    await expire_soon(kafka, [topic])

    async def compacted() -> bool:
        await send(kafka, topic, [("filler", {})])
        return await is_compacted(kafka, topic, ["filler"])

    await until(compacted, 30, "compaction")
    assert [record.key for record in await read(kafka, topic) if record.key != b"filler"] == [b"k1"]
    assert len(await read(kafka, events)) == 2
