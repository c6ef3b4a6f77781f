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

from aiokafka.structs import TopicPartition

from larder.declaring.claims import OWNERS, Claim, owners, ownership_problems, read_claim, standing
from larder.declaring.problems import DeclarationError, Problem
from larder.declaring.records import Record
from larder.declaring.topology import TopicUse
from larder.kafka.admin import Cluster
from larder.kafka.publishers import publisher
from larder.kafka.readers import reader, records, spans

log = logging.getLogger("larder")

REQUEST_TIMEOUT_MS = 5_000
"""A worker that is cut off while it starts waits for one request before it can stop."""

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
    """Read the topic to its present end."""
    async with reader(cluster.connection, request_timeout_ms=REQUEST_TIMEOUT_MS) as consumer:
        whole = (await spans(consumer, [_ALL]))[_ALL]
        found = [record async for some in records(consumer, _ALL, whole) for record in some]
    for record in {record.key: record for record in found}.values():
        if record.value is not None and _claim(record) is None:
            _warn_of_misplaced(record)
    return standing((record.key or b"", _claim(record)) for record in found)


def _claim(record: Record) -> Claim | None:
    return None if record.value is None else read_claim(record.value)


def _warn_of_misplaced(record: Record) -> None:
    log.warning("%s", Problem(
        f"topic {OWNERS}", "requires claims of services alone", f"another record at offset {record.offset}",
        "it is passed over; let nobody else write there",
    ))  # fmt: skip


async def _write(cluster: Cluster, values: Mapping[bytes, bytes | None]) -> None:
    if not values:
        return
    async with publisher(cluster.connection, request_timeout_ms=REQUEST_TIMEOUT_MS) as producer:
        await asyncio.gather(*[await producer.send(OWNERS, value, key, partition=0) for key, value in values.items()])
