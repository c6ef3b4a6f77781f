"""How a unit is committed: its offsets after its outputs, or both in one transaction.

This module has all that differs between at least once and exactly once; the loop and the units are the same. After an
error, a guarantee is replaced by a new one with its own producer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Final, Literal, Protocol

from aiokafka import AIOKafkaProducer  # noqa: TID251 - as a type
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import TopicPartition

from larder.config.connection import Connection
from larder.kafka.clients import REQUEST_BYTES, new_producer, new_transactional_producer
from larder.kafka.committed import Committed
from larder.kafka.retrying import RETRY_SECONDS, answered
from larder.kafka.transactions import Member, TransactionalProducer

log = logging.getLogger("larder")

Name = Literal["exactly_once", "at_least_once"]

BATCH_BYTES: Final = 512 * 1024
"""Size of a producer batch: half of the broker's default message limit, which applies to whole batches. It is smaller
for a topic with a lower limit, so that no batch is refused as a whole."""

NO_COMPRESSION: Final = 0
"""The compression code in the attributes of a record batch."""

TRANSACTION_TIMEOUT_MS: Final = 10_000
"""After this time the broker ends the transaction of a lost worker, unless another worker has ended it."""

PRODUCER_SETTINGS: Final[Mapping[str, Any]] = {
    "linger_ms": 0,
    "max_batch_size": BATCH_BYTES,
    "max_request_size": REQUEST_BYTES,
    # How long the producer retries outputs before their inputs are read again.
    "request_timeout_ms": 20_000,
}

Follow = Callable[[], None]


class Guarantee(Protocol):
    """One producer, and how it commits units."""

    overlapping: bool
    """Whether outputs of the next unit may be sent while a unit is being committed."""

    @property
    def producer(self) -> AIOKafkaProducer: ...

    @property
    def by(self) -> str:
        """The transactional id; empty if there is none."""

    def new_batch(self, max_bytes: int) -> BatchBuilder:
        """Create a batch for a topic with this size limit."""

    async def begin(self) -> None:
        """Prepare to send outputs; raise KafkaError."""

    async def commit(self, offsets: Mapping[TopicPartition, Committed]) -> None:
        """Commit the offsets of a unit whose outputs are acknowledged.

        Raise KafkaError; GroupFencedError and CommitFailedError mean that the group has moved on.
        """

    def with_outputs(self, follow: Follow, afterwards: list[Follow]) -> None:
        """Call `follow` now, to be atomic with the outputs of the unit, or add it to `afterwards`."""

    async def until_member(self, members: Callable[[], Awaitable[Collection[str]]]) -> None:
        """Wait until this worker may begin a unit as a member of its group; `members` returns transactional ids."""

    async def stop(self) -> None:
        """Stop the producer; unsent or uncommitted outputs are produced again from the committed offsets."""


class AtLeastOnce:
    """Offsets are committed to the group after the outputs, so a crash may publish some outputs twice."""

    overlapping = True
    by = ""

    def __init__(
        self, producer: AIOKafkaProducer, commit: Callable[[Mapping[TopicPartition, Committed]], Awaitable[None]]
    ) -> None:
        self.producer = producer
        self._commit = commit

    def new_batch(self, max_bytes: int) -> BatchBuilder:
        return _new_batch(self.producer, max_bytes, transactional=False)

    async def begin(self) -> None:
        """Do nothing: there is no transaction."""

    async def commit(self, offsets: Mapping[TopicPartition, Committed]) -> None:
        if offsets:
            await self._commit(offsets)

    def with_outputs(self, follow: Follow, afterwards: list[Follow]) -> None:
        afterwards.append(follow)

    async def until_member(self, members: Callable[[], Awaitable[Collection[str]]]) -> None:
        """Return at once: the group refuses a commit by a non-member, and nothing stays open."""

    async def stop(self) -> None:
        await self.producer.stop()


class ExactlyOnce:
    """Outputs and offsets are committed in one transaction, fenced by the generation of `member`."""

    overlapping = False

    def __init__(self, producer: TransactionalProducer, by: str, member: Callable[[], Member]) -> None:
        self.producer = producer
        self.by = by
        self._member = member

    def new_batch(self, max_bytes: int) -> BatchBuilder:
        return _new_batch(self.producer, max_bytes, transactional=True)

    async def begin(self) -> None:
        await self.producer.begin(self._member())

    async def commit(self, offsets: Mapping[TopicPartition, Committed]) -> None:
        if not offsets:
            message = "a transaction without an offset would not be fenced"
            raise ValueError(message)
        await self.begin()
        await self.producer.commit({tp: committed.written() for tp, committed in offsets.items()})

    def with_outputs(self, follow: Follow, afterwards: list[Follow]) -> None:  # noqa: ARG002 - as every guarantee
        follow()

    async def until_member(self, members: Callable[[], Awaitable[Collection[str]]]) -> None:
        """Wait to be a member: otherwise the worker would open a transaction that only a timeout ends."""
        logged = False
        while self.by not in await answered(members):
            if not logged:
                log.info("waiting to be let into the group again")
                logged = True
            await asyncio.sleep(RETRY_SECONDS)

    async def stop(self) -> None:
        await self.producer.discard()


def new_guarantee(
    name: Name,
    connection: Connection,
    by: str,
    commit: Callable[[Mapping[TopicPartition, Committed]], Awaitable[None]],
    member: Callable[[], Member],
) -> Guarantee:
    """Create a guarantee whose producer is not started yet; `commit` commits offsets to the group."""
    if name == "at_least_once":
        return AtLeastOnce(new_producer(connection, **PRODUCER_SETTINGS), commit)
    return ExactlyOnce(
        new_transactional_producer(connection, by, TRANSACTION_TIMEOUT_MS, **PRODUCER_SETTINGS), by, member
    )


def _new_batch(producer: AIOKafkaProducer, max_bytes: int, *, transactional: bool) -> BatchBuilder:
    if max_bytes < BATCH_BYTES:
        return BatchBuilder(max_bytes, NO_COMPRESSION, is_transactional=transactional)
    return producer.create_batch()
