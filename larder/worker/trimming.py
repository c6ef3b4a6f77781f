"""Deletes what a service has processed from the event topics that only it reads.

Time must not delete their records: events on their way to another partition keep their own time, which may be older
than any retention, and a worker may be stopped for longer. So these topics have no time limit: trimming bounds them.
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
"""Kafka deletes whole segments in the background: more often frees nothing sooner."""


async def trim(
    connection: Connection, processed: Callable[[], Mapping[TopicPartition, int]], every: float = EVERY_SECONDS
) -> None:
    """Delete the records before the `processed` offsets, time and again; a broker that refuses is asked again."""
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
                log.warning("processed records of internal topics were not deleted, which is tried again: %r", error)
            refused = True
        else:
            trimmed, refused = trimmed | due, False
