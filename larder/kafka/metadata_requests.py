"""Metadata requests of this process: they create no topics, and pause between retries.

A broker with `auto.create.topics.enable=true`, Kafka's default, creates each topic that a Metadata request names,
unless the request forbids it. aiokafka 0.14 does not forbid it: workers created topics that their owner had just
deleted, with other settings. Patches the default values of aiokafka's `MetadataRequest`, from which all of its
clients, and Faust's, make their requests.

A consumer of aiokafka 0.14 retries at once while a partition has no leader, for instance because its topic was
deleted. It sent requests as fast as the broker answered, and kept a core busy if no broker answered. Patches
aiokafka's `AIOKafkaClient._metadata_update`.

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
"""Seconds until the next request while a leader is missing: aiokafka's own pause before other retries."""

_update = AIOKafkaClient._metadata_update


def forbid_creation() -> None:
    """Make each Metadata request of this process forbid the creation of topics."""
    MetadataRequest.__init__.__defaults__ = (None, False)  # topics, allow_auto_topic_creation


def pause_between_updates() -> None:
    """Make each client of this process pause after an update that leaves partitions without a leader."""
    AIOKafkaClient._metadata_update = _update_and_pause


async def _update_and_pause(client: AIOKafkaClient, metadata: ClusterMetadata, topics: Collection[str] | None) -> bool:
    updated: bool = await _update(client, metadata, topics)
    if not (updated and all(_is_led(metadata, topic) for topic in topics or ())):
        await asyncio.sleep(PAUSE)
    return updated


def _is_led(metadata: ClusterMetadata, topic: str) -> bool:
    partitions = metadata.partitions_for_topic(topic)
    return bool(partitions) and partitions == metadata.available_partitions_for_topic(topic)
