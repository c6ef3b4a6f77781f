"""The offsets of a worker's inputs: where each begins, how far it is committed, and where it ends."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from typing import NamedTuple

from aiokafka.errors import CommitFailedError, IllegalStateError
from aiokafka.structs import TopicPartition

from larder.delivery.guarantees import Guarantee
from larder.group.start_offsets import Offsets, input_offset
from larder.kafka.batch_consumer import ObservedEnd
from larder.kafka.committed import OffsetOrigin
from larder.worker.builds import mirrored
from larder.worker.new_partitions import NewPartitions
from larder.worker.runtime import Runtime
from larder.worker.service_topics import ServiceTopics

log = logging.getLogger("larder")


class Unacknowledged(NamedTuple):
    """When outputs were last not acknowledged (in seconds since the epoch), and why."""

    at: float
    error: str


class InputOffsets:
    """Three offsets for each partition: the next to process, the end of readable records, the end of all records.

    They are in `positions`, `ends` and `highs`. The last includes the records of open transactions. `unacknowledged` is
    the last failure to publish outputs since the last commit.
    """

    def __init__(self, runtime: Runtime, topics: ServiceTopics, new: NewPartitions) -> None:
        self.new = new
        self.origins: dict[TopicPartition, OffsetOrigin] = {}
        """The origins of those offsets that have one."""
        self.positions: dict[TopicPartition, int] = {}
        self.ends: dict[TopicPartition, int] = {}
        self.highs: dict[TopicPartition, int] = {}
        self.unacknowledged: Unacknowledged | None = None
        self._clock = runtime.clock
        self._memo = runtime.memo
        self._fallback = runtime.options.inputs_from
        self._runtime = runtime
        self._topics = topics

    def begin(self, tp: TopicPartition, offsets: Offsets) -> int:
        """Return the offset from which to process an input; raise OffsetsLostError if there is none.

        The source of a mirror that a generation begins empty is read from its start, once.
        """
        found, generation = offsets.committed.get(tp), self._runtime.service.generation
        origin = OffsetOrigin() if found is None else found.origin
        if generation is not None and origin.generation < generation.number and tp.topic in generation.filled:
            self.origins[tp] = OffsetOrigin(generation.number, None if found is None else found.offset)
            return offsets.begins[tp]
        self.origins[tp] = origin
        # A mirror must have all rows, also those that a new start would skip.
        fallback = "earliest" if self._fallback and tp.topic in mirrored(self._runtime.service) else self._fallback
        return input_offset(tp, offsets, self._memo.committed, self._topics.ids[tp.topic], fallback)

    def floor(self, tp: TopicPartition) -> int:
        """Return the offset before which an earlier generation has processed an input that is read from its start."""
        return self.origins[tp].before or 0 if tp in self.origins else 0

    def begin_copying(self, tp: TopicPartition, offsets: Offsets, generation: int, *, rest: bool) -> int:
        """Return the offset from which to copy a partition into a generation; with `rest`, only what is not processed.

        What is committed from now on says where the partition was before, so that the growth can be cancelled.
        """
        found = offsets.committed.get(tp)
        if found is not None and found.origin.generation == generation:
            self.origins[tp] = found.origin
            return found.offset
        before = None if found is None else found.offset
        self.origins[tp] = OffsetOrigin(generation, before)
        return before if rest and before is not None else offsets.begins[tp]

    def observe_end(self, tp: TopicPartition, observed: ObservedEnd) -> None:
        """Note an end that the broker reported."""
        self.ends[tp], self.highs[tp] = observed.end, observed.high

    def of(self, tps: Collection[TopicPartition], topics: Collection[str]) -> Mapping[TopicPartition, int]:
        """Return the positions of those partitions that belong to these topics."""
        return {tp: self.positions[tp] for tp in tps if tp.topic in topics}

    def failed(self, error: BaseException) -> None:
        """Note that outputs were not acknowledged."""
        self.unacknowledged = Unacknowledged(self._clock(), repr(error))

    async def commit(self, guarantee: Guarantee, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit the offsets of settled units. If the group has moved on, the next owner repeats the work."""
        committed = {
            tp: self._topics.committed(
                tp.topic, offset, guarantee.by, self.new.count(tp.topic, self._topics.partition_counts[tp.topic])
            )._replace(origin=self.origins.get(tp, OffsetOrigin()))
            for tp, offset in offsets.items()
        }
        try:
            await guarantee.commit(committed)
        except (CommitFailedError, IllegalStateError) as error:
            log.info("offsets were not committed, the group has moved on: %s", error)
            return
        self.unacknowledged = None
        self.positions.update(offsets)
        self._memo.remember_committed({tp.topic: self._topics.ids[tp.topic] for tp in offsets})
