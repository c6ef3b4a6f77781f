"""Decides about calls that wait: calls them now, or gives them up. The workers do it.

An order is a record among the outcomes of a call, in the partition of the call. So it is processed in its turn, by
whoever has that partition, and counts only between two attempts.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

from aiokafka.structs import TopicPartition

from larder.client.publishing import Message, publish
from larder.config.connection import Connection
from larder.config.errors import MistakeError, UnavailableError
from larder.declaring.growth import OPEN, GrowthPhase
from larder.declaring.plurals import counted
from larder.declaring.problems import Problem
from larder.declaring.stored_calls import Order, encode
from larder.kafka.admin import Cluster
from larder.kafka.readers import reader, spans
from larder.queries.stored_calls import place_of
from larder.store import Token
from larder.worker.growth_log import read_if_written

if TYPE_CHECKING:
    from larder.client.calls import CallList

What = Literal["retry", "skip"]

PROCESSED_SECONDS: Final = 30.0
"""How long to wait until the workers have processed orders: longer than a partition takes to move."""

POLL_SECONDS: Final = 0.2


async def order(connection: Connection, service: str, what: What, chosen: CallList) -> str:
    """Give an order about each of these calls, and wait until it is processed. There is at least one.

    Return the token of a write after which the table of calls shows what the orders did.

    Raise MistakeError while the service is being scaled, UnavailableError if no worker processes them in time.
    """
    async with Cluster(connection) as cluster:
        if (known := await read_if_written(cluster, service)) is not None:
            require_not_moving(service, known.state.phase)
        orders = [Message(place_of(each), encode(Order(each["id"], what))) for each in chosen.calls]
        published = await publish(connection, chosen.outcomes, orders)
        await _until_processed(cluster, service, chosen.outcomes, published.offsets)
        return await _token(cluster, chosen.table, published.offsets)


def require_not_moving(service: str, phase: GrowthPhase) -> None:
    """Raise MistakeError while calls are copied to other partitions: an order would come too late."""
    if phase in OPEN:
        requires = "requires a service that is not being scaled: its calls move to other partitions"
        do = f"wait, or follow it: larder scale {service}"
        raise MistakeError(Problem(f"calls of {service}", requires, f"one that is {phase.value}", do))


async def _until_processed(cluster: Cluster, service: str, outcomes: str, offsets: Mapping[int, int]) -> None:
    """Wait until the service has committed these partitions of its outcomes past these offsets."""
    deadline = time.monotonic() + PROCESSED_SECONDS
    while left := await _unprocessed(cluster, service, outcomes, offsets):
        if time.monotonic() > deadline:
            raise UnavailableError(
                Problem(
                    f"orders in {outcomes}", f"requires workers that process them within {PROCESSED_SECONDS:g} s",
                    f"none for {counted(len(left), 'partition')} {', '.join(map(str, left))}",
                    "start a worker: the orders are in the topic, and count once one reads them",
                )
            )  # fmt: skip
        await asyncio.sleep(POLL_SECONDS)


async def _unprocessed(cluster: Cluster, service: str, outcomes: str, offsets: Mapping[int, int]) -> Sequence[int]:
    committed = await cluster.committed(service)
    done = {tp.partition: each.offset for tp, each in committed.items() if tp.topic == outcomes}
    return [partition for partition, offset in sorted(offsets.items()) if done.get(partition, 0) <= offset]


async def _token(cluster: Cluster, table: str, partitions: Mapping[int, Any]) -> str:
    """Return the token of the newest record of these partitions of a table.

    Committed or not: the broker may show a committed offset before the rows of its transaction.
    """
    tps = [TopicPartition(table, partition) for partition in partitions]
    async with reader(cluster.connection, "read_uncommitted") as consumer:
        ends = {tp.partition: span.end for tp, span in (await spans(consumer, tps)).items()}
    topic_id = (await cluster.facts([table]))[table].topic_id
    return Token(topic_id, {partition: end - 1 for partition, end in ends.items() if end}).text()
