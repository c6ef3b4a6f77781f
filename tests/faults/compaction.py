"""Compaction on demand: topics that keep little more than the last record of each key, and the proof that they do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError

from tests.support.topics import admin, read, until

SOON = {
    "cleanup.policy": "compact",
    "segment.ms": "200",
    "min.cleanable.dirty.ratio": "0.001",
    "max.compaction.lag.ms": "200",
    "message.timestamp.type": "LogAppendTime",
    "max.message.bytes": str(8 << 20),  # as the internal topics have it: what is not named here is forgotten
}
EXPIRED = {**SOON, "delete.retention.ms": "100"}


async def compact_soon(kafka: str, prefix: str, config: dict[str, str] = SOON) -> Collection[str]:
    """Have all compacted topics of a prefix compacted from now on, once the broker is there; answers their names."""

    async def configured() -> Collection[str]:
        try:
            return await _configure(kafka, prefix, config)
        except (KafkaError, OSError):
            return ()

    return await until(configured, 30, "topics to be configured")


async def _configure(kafka: str, prefix: str, config: dict[str, str]) -> Collection[str]:
    async with admin(kafka) as client:
        topics = [name for name in await client.list_topics() if name.startswith(prefix)]
        compacted = [name for name in topics if _is_compacted(name)]
        changes = [ConfigResource(ConfigResourceType.TOPIC, name, config) for name in compacted]
        for answer in await client.alter_configs(changes):
            assert all(code == 0 for code, *_ in answer.resources), answer
        return compacted


def _is_compacted(topic: str) -> bool:
    return topic.endswith((".customers", ".products", ".clients", ".addresses", ".waiting"))


async def until_compacted(kafka: str, topic: str, fillers: Collection[str]) -> None:
    """Wait until nothing is left of deletions, nor of all but the last record of each key, but for `fillers`."""

    async def compacted() -> bool:
        records = [record for record in await read(kafka, topic) if record.key.decode() not in fillers]
        return (
            all(record.value is not None for record in records)
            and max(Counter(record.key for record in records).values(), default=1) == 1
        )

    await until(compacted, 30, f"compaction of {topic}")
