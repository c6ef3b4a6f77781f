"""Compaction on demand: makes topics keep little more than the last record of each key, and checks that they do."""

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
    "max.message.bytes": str(8 << 20),  # The policy of internal topics. Settings that are not listed here are reset.
}
# Longer than any outage of the broker on a busy machine, or records would be compacted before the suite has read them.
READ_FIRST = {"min.compaction.lag.ms": "20000", "max.compaction.lag.ms": "21000"}
KEPT_MS = 10_000
"""How long owner topics keep tombstones, from the start: workers assume no shorter time."""

EXPIRED = {**SOON, "delete.retention.ms": str(KEPT_MS)}


async def compact_soon(kafka: str, prefix: str, owned: Collection[str]) -> None:
    """Compact all compacted topics of a prefix from now on, as soon as the broker is up.

    Every record of the `owned` topics is judged, so those are compacted only after they have been read.
    """

    async def configured() -> bool:
        try:
            await _configure(kafka, prefix, owned)
        except (KafkaError, OSError):
            return False
        return True

    await until(configured, 30, "topics to be configured")


async def expire_soon(kafka: str, topics: Collection[str]) -> None:
    """Compact topics from now on, and remove their tombstones as soon as possible."""
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
    """Return whether only the last record of each key is left and no tombstones, except for `fillers`."""
    records = [record for record in await read(kafka, topic) if record.key.decode() not in fillers]
    times = Counter(record.key for record in records)
    return all(record.value is not None for record in records) and max(times.values(), default=1) == 1
