"""How the clients of this process ask a broker for metadata: they create no topic by asking, and they take their time.

A broker with `auto.create.topics.enable=true`, Kafka's default, creates each topic that a Metadata request names,
unless the request forbids it. aiokafka 0.14 does not forbid it: a worker created the topics that their owner
had just deleted, with other settings. Touches the default values of aiokafka's `MetadataRequest`, of which all
of its clients, and Faust's, make their requests.

A consumer of aiokafka 0.14 asks again at once while a partition has no leader: when its topic is deleted, or when a
broker that shuts down has handed it over to nobody. It sent requests as fast as the broker answered, and where no
broker answered, it kept a core busy. Touches aiokafka's `AIOKafkaClient._metadata_update`.

`tests/larder/kafka/test_metadata_requests.py` fails when either changes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Final

from aiokafka.client import AIOKafkaClient
from aiokafka.cluster import ClusterMetadata
from aiokafka.protocol.metadata import MetadataRequest

PAUSE: Final = 0.1
"""Seconds until the next request, while a leader is missing: what aiokafka's clients wait before other retries."""

_update = AIOKafkaClient._metadata_update


def forbid_creation() -> None:
    """Have each Metadata request of this process forbid the broker to create topics."""
    MetadataRequest.__init__.__defaults__ = (None, False)  # topics, allow_auto_topic_creation


def pause_between_updates() -> None:
    """Have each client of this process pause after an update that leaves partitions without a leader."""
    AIOKafkaClient._metadata_update = _update_and_pause


async def _update_and_pause(client: AIOKafkaClient, metadata: ClusterMetadata, topics: Collection[str] | None) -> bool:
    updated: bool = await _update(client, metadata, topics)
    if not (updated and all(_is_led(metadata, topic) for topic in topics or ())):
        await asyncio.sleep(PAUSE)
    return updated


def _is_led(metadata: ClusterMetadata, topic: str) -> bool:
    partitions = metadata.partitions_for_topic(topic)
    return bool(partitions) and partitions == metadata.available_partitions_for_topic(topic)
