"""Compaction on demand: topics that keep little more than the last record of each key, and the proof that they do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

from aiokafka.admin import AIOKafkaAdminClient
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
# Longer than the broker is away on a busy machine, or records would be gone before anybody had read them.
READ_FIRST = {"min.compaction.lag.ms": "20000", "max.compaction.lag.ms": "21000"}
KEPT_MS = 10_000
"""How long the topics of owners keep deletions, from the start: no worker takes it for less."""

EXPIRED = {**SOON, "delete.retention.ms": str(KEPT_MS)}


async def compact_soon(kafka: str, prefix: str, owned: Collection[str]) -> None:
    """Have all compacted topics of a prefix compacted from now on, once the broker is there.

    `owned` are those whose every record is judged: they are compacted once they have been read.
    """

    async def configured() -> bool:
        try:
            await _configure(kafka, prefix, owned)
        except (KafkaError, OSError):
            return False
        return True

    await until(configured, 30, "topics to be configured")


async def expire_soon(kafka: str, topics: Collection[str]) -> None:
    """Have topics compacted from now on, and their deletions removed as soon as those may be."""
    async with admin(kafka) as client:
        await _alter(client, dict.fromkeys(topics, EXPIRED))


async def _configure(kafka: str, prefix: str, owned: Collection[str]) -> None:
    async with admin(kafka) as client:
        topics = [name for name in await client.list_topics() if name.startswith(prefix)]
        resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in topics]
        described = [each for answer in await client.describe_configs(resources) for each in answer.resources]
        compacted = [name for _, _, _, name, found in described if ("cleanup.policy", "compact") in _settings(found)]
        await _alter(client, {name: {**SOON, **(READ_FIRST if name in owned else {})} for name in compacted})


async def _alter(client: AIOKafkaAdminClient, configs: Mapping[str, dict[str, str]]) -> None:
    changes = [ConfigResource(ConfigResourceType.TOPIC, name, config) for name, config in configs.items()]
    for answer in await client.alter_configs(changes) if changes else ():
        assert all(code == 0 for code, *_ in answer.resources), answer


def _settings(found: Collection[tuple[str, ...]]) -> set[tuple[str, str]]:
    return {(name, value) for name, value, *_ in found}


async def is_compacted(kafka: str, topic: str, fillers: Collection[str]) -> bool:
    """Whether nothing is left of deletions, nor of all but the last record of each key, but for `fillers`."""
    records = [record for record in await read(kafka, topic) if record.key.decode() not in fillers]
    times = Counter(record.key for record in records)
    return all(record.value is not None for record in records) and max(times.values(), default=1) == 1
