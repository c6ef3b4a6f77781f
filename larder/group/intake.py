"""What the group's consumer hands over, and what it asks: the side of the worker that Faust's parts know."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from aiokafka.structs import TopicPartition

from larder.kafka.batch_consumer import Batch, ObservedEnd


class Intake(Protocol):
    """Where batches go, and who decides where partitions start."""

    def wanted(self) -> Collection[TopicPartition]:
        """Partitions whose records can be taken now."""

    def observe_ends(self, ends: Mapping[TopicPartition, ObservedEnd]) -> None:
        """Ends of partitions as the broker last reported them."""

    async def put(self, batch: Batch, epoch: int) -> None:
        """Take a batch that was fetched in `epoch`."""

    def out_of_range(self, positions: Mapping[TopicPartition, int]) -> None:
        """The broker no longer has (or does not yet have) these positions."""

    def fail(self, reason: BaseException) -> None:
        """A part of Faust died, in whatever thread."""

    @property
    def stored(self) -> Mapping[TopicPartition, int]:
        """Positions of stores, for the assignment; read in another thread."""

    @property
    def epoch(self) -> int:
        """Rises at each revoke, assignment and rewind."""

    async def revoked(self) -> None:
        """All partitions are about to be taken away; what is done may still be committed."""

    async def start(
        self, assigned: Collection[TopicPartition], standbys: Collection[TopicPartition]
    ) -> Mapping[TopicPartition, int]:
        """Make ready for the assigned partitions; answer the offset at which each is to be read.

        `standbys` are partitions that another member processes, and this one next.
        """
