"""How a unit is committed: its offsets after its outputs, or both in one transaction.

What differs between at least once and exactly once is here; the loop, and the units, are the same.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Literal, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.structs import TopicPartition

from larder.kafka.committed import Committed
from larder.kafka.transactions import Member, TransactionalProducer

Name = Literal["exactly_once", "at_least_once"]


class Guarantee(Protocol):
    """What one producer does for the units that it is used for; it is used for no more after an error.

    `begin` is None where there is nothing to begin. `commit` raises KafkaError, of which GroupFencedError and
    CommitFailedError say that the group has moved on.
    """

    @property
    def producer(self) -> AIOKafkaProducer: ...

    @property
    def by(self) -> str:
        """The transactional id."""

    @property
    def begin(self) -> Callable[[], Awaitable[None]] | None: ...

    async def commit(self, offsets: Mapping[TopicPartition, Committed]) -> None: ...


class AtLeastOnce:
    """Offsets are committed to the group after the outputs: after a crash some are published again."""

    by = ""
    begin = None

    def __init__(
        self, producer: AIOKafkaProducer, commit: Callable[[Mapping[TopicPartition, Committed]], Awaitable[None]]
    ) -> None:
        self.producer = producer
        self._commit = commit

    async def commit(self, offsets: Mapping[TopicPartition, Committed]) -> None:
        if offsets:
            await self._commit(offsets)


class ExactlyOnce:
    """Outputs and offsets are committed in one transaction, fenced by the generation of `member`."""

    def __init__(self, producer: TransactionalProducer, by: str, member: Callable[[], Member]) -> None:
        self.producer = producer
        self.by = by
        self._member = member

    async def begin(self) -> None:
        await self.producer.begin(self._member())

    async def commit(self, offsets: Mapping[TopicPartition, Committed]) -> None:
        if not offsets:
            message = "a transaction without an offset would not be fenced"
            raise ValueError(message)
        await self.begin()
        await self.producer.commit({tp: committed.written() for tp, committed in offsets.items()})
