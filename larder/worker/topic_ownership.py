"""Claims of topics, which the broker keeps: read, made, withdrawn.

A service claims a topic only if there is no claim yet. If two services claim it at the same time, the first in the
topic of claims wins. The other reads up to its own claim, finds the first, withdraws its own and is refused.
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
from larder.kafka.readers import reader, whole

log = logging.getLogger("larder")

REQUEST_TIMEOUT_MS = 5_000
"""A worker that is stopped while it starts first waits for one request."""

_USE = TopicUse(OWNERS, (), owned=True, compacted=True, partitions=1)
_ALL = TopicPartition(OWNERS, 0)


async def claim(cluster: Cluster, service: str, topics: Mapping[str, str], clock: Callable[[], float]) -> None:
    """Make sure that `service`, and no other one, owns `topics`, given as name to id.

    `clock` returns seconds since 1970. Raise DeclarationError naming each topic that another service owns; KafkaError.
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
    """Return the valid claims by topic; raise KafkaError."""
    return owners((await _standing(cluster)).values()) if await cluster.facts([OWNERS]) else {}


async def release(cluster: Cluster, topic: str) -> None:
    """Withdraw all claims of a topic, whichever service made them; raise KafkaError. The topic of claims must exist."""
    found = await _standing(cluster)
    await _write(cluster, {key: None for key, each in found.items() if each.topic == topic})


async def _standing(cluster: Cluster) -> dict[bytes, Claim]:
    """Read the topic to its current end."""
    async with reader(cluster.connection, request_timeout_ms=REQUEST_TIMEOUT_MS) as consumer:
        found = await whole(consumer, _ALL)
    for record in {record.key: record for record in found}.values():
        if record.value is not None and _claim(record) is None:
            _warn_of_misplaced(record)
    return standing((record.key or b"", _claim(record)) for record in found)


def _claim(record: Record) -> Claim | None:
    return None if record.value is None else read_claim(record.value)


def _warn_of_misplaced(record: Record) -> None:
    log.warning("%s", Problem(
        f"topic {OWNERS}", "requires claims of services only", f"another record at offset {record.offset}",
        "it is ignored; let only Larder write there",
    ))  # fmt: skip


async def _write(cluster: Cluster, values: Mapping[bytes, bytes | None]) -> None:
    if not values:
        return
    async with publisher(cluster.connection, request_timeout_ms=REQUEST_TIMEOUT_MS) as producer:
        await asyncio.gather(*[await producer.send(OWNERS, value, key, partition=0) for key, value in values.items()])
