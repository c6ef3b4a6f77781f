"""The side of a worker that Faust's parts know: it takes batches, and decides where partitions start."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from aiokafka.structs import TopicPartition

from larder.kafka.batch_consumer import Batch, ObservedEnd


class Intake(Protocol):
    """Takes batches, and decides where partitions start."""

    def wanted(self) -> Collection[TopicPartition]:
        """Return the partitions whose records it can take now."""

    def observe_ends(self, ends: Mapping[TopicPartition, ObservedEnd]) -> None:
        """Note the ends of partitions as the broker last reported them."""

    async def put(self, batch: Batch, epoch: int) -> None:
        """Take a batch that was fetched in `epoch`."""

    def out_of_range(self, positions: Mapping[TopicPartition, int]) -> None:
        """Handle positions that the broker no longer has, or does not yet have."""

    def fail(self, reason: BaseException) -> None:
        """Note that a part of Faust failed, in any thread."""

    @property
    def stored(self) -> Mapping[TopicPartition, int]:
        """The positions of stores, for the assignment; read in another thread."""

    @property
    def epoch(self) -> int:
        """A number that rises at each revocation, assignment and rewind."""

    async def revoked(self) -> None:
        """Settle what is done, which can still be committed: all partitions are about to be revoked."""

    async def start(
        self, assigned: Collection[TopicPartition], standbys: Collection[TopicPartition]
    ) -> Mapping[TopicPartition, int]:
        """Prepare for the assigned partitions, and return the offset from which to read each of them.

        `standbys` are partitions that another member processes and for which this one is the standby.
        """
