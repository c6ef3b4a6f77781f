"""Internal event topics: no retention deletes unprocessed records, and the service deletes processed ones."""

from __future__ import annotations

import asyncio
import contextlib

from aiokafka.structs import TopicPartition

from agents import fulfilment
from larder.assembly.plan import plan
from larder.config.connection import Connection
from larder.declaring.facts import TopicFacts
from larder.declaring.topology import topics_of
from larder.worker.trimming import trim
from tests.support.topics import consumer, create, fill, until


async def test_records_before_the_processed_offset_are_deleted_and_later_ones_are_kept(kafka: str, topic: str) -> None:
    await create(kafka, {topic: 1})
    await fill(kafka, topic, 0, [("key", {"number": number}) for number in range(10)])
    tp = TopicPartition(topic, 0)
    processed = {tp: 0}
    trimming = asyncio.create_task(trim(Connection(kafka), lambda: processed, every=0.02))
    try:
        async with consumer(kafka) as reader:

            async def begins_at(offset: int) -> bool:
                return (await reader.beginning_offsets([tp]))[tp] == offset

            for offset in (4, 10):
                processed[tp] = offset
                await until(lambda offset=offset: begins_at(offset), 15, f"a log that begins at {offset}")
    finally:
        trimming.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await trimming


def test_topics_of_rekeyed_and_replayed_events_pass_through_their_service() -> None:
    service = fulfilment.fulfilment
    facts = {use.name: TopicFacts(use.partitions, "delete", 1_000_000, "id") for use in topics_of(service)}
    assert plan(service, facts).passed_through == {
        "fulfilment.shop.orders.by.customer_id",
        "fulfilment.shop.orders.replays",
        "fulfilment.shop.orders.by.customer_id.replays",
    }
