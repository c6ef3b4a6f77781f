"""Finds out why partitions do not move although there are records: an open transaction of another producer.

Asks the brokers about those partitions alone that have lag and have not moved since the last look.
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
"""Between two looks: a partition that waits is explained long before it counts as stalled."""

Transactions = Mapping[TopicPartition, OpenTransaction]


class WaitingBehind:
    """`problems`: the partitions that wait behind an open transaction, and whose it is."""

    def __init__(self, connection: Connection, own: str) -> None:
        """`own` is the transactional id of this worker: its own transaction ends when it is restarted."""
        self.problems: Mapping[PartitionUse, Problem] = {}
        self._connection = connection
        self._own = own

    async def watch(self, standings: Callable[[], Iterable[Standing]]) -> None:
        """Look time and again, until cancelled; `standings` that have another excuse are left out."""
        before: Mapping[PartitionUse, int] = {}
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            lagging = with_lag(standings())
            still = {place: at for place, at in lagging.items() if before.get(place) == at}
            before = lagging
            try:
                self._note(waiting_behind(still, await self._ask(still), self._own))
            except (KafkaError, OSError) as error:
                log.debug("open transactions could not be looked up: %r", error)

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
    """Positions of the partitions that have something to read, now or once a transaction ends, and no reason not to."""
    return {
        each.place: each.position
        for each in standings
        if each.excuse is None and each.end is not None and each.position < max(each.end, each.high)
    }


def waiting_behind(
    still: Mapping[PartitionUse, int], found: Transactions, own: str
) -> dict[PartitionUse, OpenTransaction]:
    """Those whose next record lies in an open transaction, or after it, of another producer than `own`."""
    asked = {place: found.get(TopicPartition(place.topic, place.partition)) for place in still}
    return {
        place: each
        for place, each in asked.items()
        if each is not None and each.offset <= still[place] and each.transactional_id != own
    }
