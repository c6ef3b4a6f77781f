"""Deletes the records that a service has processed from the event topics that only it reads.

These topics have no time limit, so trimming bounds them. Rekeyed events keep their own timestamps, which may be older
than any retention, and a worker may be stopped for longer than that.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from larder.config.connection import Connection
from larder.kafka.admin import Cluster

log = logging.getLogger("larder")

EVERY_SECONDS = 60.0
"""Kafka deletes whole segments in the background, so a shorter interval would free nothing sooner."""


async def trim(
    connection: Connection, processed: Callable[[], Mapping[TopicPartition, int]], every: float = EVERY_SECONDS
) -> None:
    """Delete the records before the `processed` offsets at intervals; retry if the broker refuses."""
    trimmed: dict[TopicPartition, int] = {}
    refused = False
    while True:
        await asyncio.sleep(every)
        due = {tp: offset for tp, offset in processed().items() if offset > trimmed.get(tp, 0)}
        if not due:
            continue
        try:
            async with Cluster(connection) as cluster:
                await cluster.delete_records(due)
        except (KafkaError, OSError) as error:
            if not refused:
                log.warning("processed records of internal topics were not deleted and will be retried: %r", error)
            refused = True
        else:
            trimmed, refused = trimmed | due, False
