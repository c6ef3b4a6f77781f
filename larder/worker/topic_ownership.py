"""Claims of topics in the broker: read, made, taken back.

A claim is only made where none stands. Of two services that make one at the same time the first in the topic has it;
the other one sees that when it reads up to its own, takes it back and is refused.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from uuid import uuid4

from aiokafka.structs import ConsumerRecord, TopicPartition

from larder.declaring.claims import OWNERS, Claim, owners, ownership_problems, read_claim, standing
from larder.declaring.problems import DeclarationError, Problem
from larder.declaring.topology import TopicUse
from larder.kafka.admin import Cluster
from larder.kafka.clients import new_consumer, new_producer

log = logging.getLogger("larder")

REQUEST_TIMEOUT_MS = 5_000
"""For a few small records: a broker that is well answers in milliseconds. Stopping may wait for one request."""

READ_MS = 50
"""How long the broker may hold back an empty answer; stopping a reader waits for the one that is under way."""

_USE = TopicUse(OWNERS, (), owned=True, compacted=True, partitions=1)
_ALL = TopicPartition(OWNERS, 0)


async def claim(cluster: Cluster, service: str, topics: Mapping[str, str], clock: Callable[[], float]) -> None:
    """Make sure that `service`, and no other one, owns `topics`, given as name to id.

    `clock` gives seconds since 1970. Raises DeclarationError that tells of each that is another's, and KafkaError.
    """
    if topics and not await cluster.facts([OWNERS]):
        await cluster.create([_USE])
    made: dict[bytes, Claim] = {}
    while topics:
        owned = owners((await _standing(cluster)).values())
        if problems := ownership_problems(service, topics, owned):
            await _write(cluster, {key: None for key, each in made.items() if owned[each.topic].service != service})
            raise DeclarationError(problems)
        since = datetime.fromtimestamp(clock(), UTC).isoformat(timespec="seconds")
        new = [Claim(name, service, topic_id, since) for name, topic_id in topics.items() if name not in owned]
        if not new:
            return
        made = {each.key(uuid4().hex): each for each in new}
        await _write(cluster, {key: each.value() for key, each in made.items()})


async def claims(cluster: Cluster) -> dict[str, Claim]:
    """Give the claims that count, by topic; raises KafkaError."""
    return owners((await _standing(cluster)).values()) if await cluster.facts([OWNERS]) else {}


async def release(cluster: Cluster, topic: str) -> None:
    """Take back all claims of a topic, whoever made them; the topic of claims is there. Raises KafkaError."""
    found = await _standing(cluster)
    await _write(cluster, {key: None for key, each in found.items() if each.topic == topic})


async def _standing(cluster: Cluster) -> dict[bytes, Claim]:
    """Read the topic to its end as it is now."""
    reader = new_consumer(cluster.connection, fetch_max_wait_ms=READ_MS, request_timeout_ms=REQUEST_TIMEOUT_MS)
    try:
        await reader.start()
        reader.assign([_ALL])
        begin, end = await reader.beginning_offsets([_ALL]), await reader.end_offsets([_ALL])
        reader.seek(_ALL, begin[_ALL])
        records: list[ConsumerRecord] = []
        while await reader.position(_ALL) < end[_ALL]:
            for some in (await reader.getmany(timeout_ms=READ_MS)).values():
                records += some
    finally:
        await reader.stop()
    for record in {record.key: record for record in records}.values():
        if record.value is not None and _claim(record) is None:
            _say_stranger(record)
    return standing((record.key or b"", _claim(record)) for record in records)


def _claim(record: ConsumerRecord) -> Claim | None:
    return None if record.value is None else read_claim(record.value)


def _say_stranger(record: ConsumerRecord) -> None:
    log.warning("%s", Problem(
        f"topic {OWNERS}", "requires claims of services alone", f"another record at offset {record.offset}",
        "it is passed over; let nobody else write there",
    ))  # fmt: skip


async def _write(cluster: Cluster, values: Mapping[bytes, bytes | None]) -> None:
    if not values:
        return
    # Idempotent: a claim that was sent twice would lie behind one that came between.
    producer = new_producer(cluster.connection, request_timeout_ms=REQUEST_TIMEOUT_MS)
    try:
        await producer.start()
        await asyncio.gather(*[await producer.send(OWNERS, value, key, partition=0) for key, value in values.items()])
    finally:
        await producer.stop()
