"""Detects that partitions with lag do not move because of an open transaction of another producer.

It asks the brokers only about partitions that have lag and have not moved since the last check.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Mapping

from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from larder.config.connection import Connection
from larder.declaring.problems import Problem
from larder.kafka.admin import Cluster
from larder.kafka.open_transactions import OpenTransaction, behind
from larder.worker.vitals import PartitionUse, Standing

log = logging.getLogger("larder")

LOOK_SECONDS = 2.0
"""The interval between checks: short, so that a waiting partition is explained long before it counts as stalled."""

Transactions = Mapping[TopicPartition, OpenTransaction]


class WaitingBehind:
    """`problems` has the partitions that wait behind an open transaction, and its owner."""

    def __init__(self, connection: Connection, own: str) -> None:
        """`own` is this worker's transactional id, which is ignored: a restart ends its transaction."""
        self.problems: Mapping[PartitionUse, Problem] = {}
        self._connection = connection
        self._own = own

    async def watch(self, standings: Callable[[], Iterable[Standing]]) -> None:
        """Check at intervals until cancelled; leave out `standings` that have another excuse."""
        before: Mapping[PartitionUse, int] = {}
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            lagging = with_lag(standings())
            still = {place: at for place, at in lagging.items() if before.get(place) == at}
            before = lagging
            try:
                self._note(waiting_behind(still, await self._ask(still), self._own))
            except (KafkaError, OSError) as error:
                log.debug("could not look up open transactions: %r", error)

    async def _ask(self, places: Collection[PartitionUse]) -> Transactions:
        if not places:
            return {}
        async with Cluster(self._connection) as cluster:
            return await cluster.open_transactions({TopicPartition(each.topic, each.partition) for each in places})

    def _note(self, found: Mapping[PartitionUse, OpenTransaction]) -> None:
        problems = {
            place: behind(TopicPartition(place.topic, place.partition), each, str(self._connection))
            for place, each in found.items()
        }
        for place in problems.keys() - self.problems.keys():
            log.warning("%s", problems[place])
        self.problems = problems


def with_lag(standings: Iterable[Standing]) -> dict[PartitionUse, int]:
    """Return the positions of partitions that have records to read, now or after a transaction, and no excuse."""
    return {
        each.place: each.position
        for each in standings
        if each.excuse is None and each.end is not None and each.position < max(each.end, each.high)
    }


def waiting_behind(
    still: Mapping[PartitionUse, int], found: Transactions, own: str
) -> dict[PartitionUse, OpenTransaction]:
    """Return the partitions whose next record is in or after an open transaction of a producer other than `own`."""
    asked = {place: found.get(TopicPartition(place.topic, place.partition)) for place in still}
    return {
        place: each
        for place, each in asked.items()
        if each is not None and each.offset <= still[place] and each.transactional_id != own
    }
