"""The topics as a reader of committed records observes them, and whether any transaction or lag is left in them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import ConsumerRecord

from tests.faults.history import Seen

Ends = Mapping[TopicPartition, int]


class Reader:
    """Reads topics from the beginning, and keeps the records even after the broker has compacted them away."""

    def __init__(self, committed: AIOKafkaConsumer, uncommitted: AIOKafkaConsumer, admin: AIOKafkaAdminClient) -> None:
        self._committed = committed
        self._uncommitted = uncommitted
        self._admin = admin
        self._seen: dict[tuple[str, int, int], Seen] = {}

    @property
    def seen(self) -> Sequence[Seen]:
        """All records so far, by topic, partition and offset."""
        return [self._seen[place] for place in sorted(self._seen)]

    async def follow(self, prefix: str) -> Collection[TopicPartition]:
        """Start to read the topics with this prefix that were created since."""
        topics = [name for name in await self._admin.list_topics() if name.startswith(prefix)]
        described = await self._admin.describe_topics(topics)
        tps = {TopicPartition(each["topic"], one["partition"]) for each in described for one in each["partitions"]}
        if new := tps - self._committed.assignment():
            positions = {tp: await self._committed.position(tp) for tp in self._committed.assignment()}
            self._committed.assign(sorted(tps))
            for tp in tps:
                self._committed.seek(tp, 0 if tp in new else positions[tp])
        return tps

    async def read(self) -> None:
        """Read the records that are available now."""
        for records in (await self._committed.getmany(timeout_ms=50)).values():
            for record in records:
                self._seen[record.topic, record.partition, record.offset] = _seen(record)

    async def read_to(self, ends: Ends, seconds: float) -> None:
        """Read up to these ends. Raise TimeoutError."""
        deadline = time.monotonic() + seconds
        while behind := [tp for tp, end in ends.items() if await self._committed.position(tp) < end]:
            if time.monotonic() > deadline:
                message = f"{behind} could not be read to their ends in {seconds} s"
                raise TimeoutError(message)
            await self.read()

    async def ends(self, tps: Collection[TopicPartition]) -> tuple[Ends, Ends]:
        """Return the last stable offsets and the high watermarks."""
        return await self._committed.end_offsets(tps), await self._uncommitted.end_offsets(tps)

    async def offsets(self, group: str) -> Ends:
        """Return the committed offsets of a group."""
        found = await self._admin.list_consumer_group_offsets(group)
        return {tp: each.offset for tp, each in found.items()}


@asynccontextmanager
async def reading(kafka: str) -> AsyncIterator[Reader]:
    settings: dict[str, Any] = {
        "bootstrap_servers": kafka,
        "group_id": None,
        "enable_auto_commit": False,
        "fetch_max_wait_ms": 50,
        "auto_offset_reset": "earliest",  # a compacted log may begin later
    }
    committed = AIOKafkaConsumer(isolation_level="read_committed", **settings)
    uncommitted = AIOKafkaConsumer(isolation_level="read_uncommitted", **settings)
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    parts = (committed, uncommitted, admin)
    await asyncio.gather(*(part.start() for part in parts))
    try:
        yield Reader(committed, uncommitted, admin)
    finally:
        await asyncio.gather(committed.stop(), uncommitted.stop(), admin.close())


def _seen(record: ConsumerRecord) -> Seen:
    return Seen(
        record.topic,
        record.partition,
        record.offset,
        (record.key or b"").decode(errors="backslashreplace"),
        None if record.value is None else msgspec.json.decode(record.value),
        record.timestamp / 1000,
        {name: (value or b"").decode(errors="replace") for name, value in record.headers},
        time.time(),
    )
