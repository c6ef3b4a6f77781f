"""The offset from which to read an input partition, and when to refuse it.

Pure: it turns the committed offset, the log's start and end, and this worker's memo into an offset or a problem.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal, NamedTuple

from aiokafka.structs import TopicPartition

from larder.declaring.problems import LarderError, Problem
from larder.kafka.committed import Committed, OffsetOrigin
from larder.kafka.topic_metadata import Described

Fallback = Literal["earliest", "latest"]


class Offsets(NamedTuple):
    """Log starts and ends by partition, and any committed offsets of all partitions of these topics.

    An open transaction may still change the committed offsets of the `pending` partitions.
    """

    committed: Mapping[TopicPartition, Committed]
    begins: Mapping[TopicPartition, int]
    ends: Mapping[TopicPartition, int]
    pending: Collection[TopicPartition] = ()

    def placed_by(self) -> Mapping[str, Described]:
        """Return the topics as they were when the service began to depend on their partition counts."""
        return {
            tp.topic: Described(each.topic_id, each.placed_by) for tp, each in self.committed.items() if each.placed_by
        }

    def of_generation(self, number: int, following: int | None = None) -> Offsets:
        """Return them without those of generations that were cancelled: later ones than `number`, but for `following`.

        Their partitions are where they were before.
        """
        counts = {tp: each.origin.generation in {following, *range(number + 1)} for tp, each in self.committed.items()}
        if all(counts.values()):
            return self
        committed = {tp: each for tp, each in self.committed.items() if counts[tp]}
        for tp, each in self.committed.items():
            if not counts[tp] and each.origin.before is not None:
                committed[tp] = each._replace(offset=each.origin.before, origin=OffsetOrigin())
        return self._replace(committed=committed)

    def by(self, tps: Collection[TopicPartition]) -> set[str]:
        """Return the transactional ids that last committed these partitions."""
        return {self.committed[tp].by for tp in tps if tp in self.committed} - {""}


class OffsetsLostError(LarderError):
    """The committed offsets of a service are gone, or outside the log. The service does not guess."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(str(problem))


def input_offset(
    tp: TopicPartition,
    offsets: Offsets,
    remembered: Mapping[str, str],
    topic_id: str,
    fallback: Fallback | None,
) -> int:
    """Return the offset from which to read `tp`; `fallback` applies if the committed one is unusable.

    Raise OffsetsLostError if there is no fallback. A partition without an offset starts at the start of the log, unless
    this service has committed offsets of its topic before.
    """
    begin, end = offsets.begins[tp], offsets.ends[tp]
    committed = offsets.committed.get(tp)
    known_id = remembered.get(tp.topic) if committed is None else committed.topic_id
    if committed is None and not _was_read(tp, offsets, remembered):
        return begin
    if committed is not None and known_id in {"", topic_id} and begin <= committed.offset <= end:
        return committed.offset
    if fallback is not None:
        return begin if fallback == "earliest" else end
    if known_id not in {"", topic_id}:
        found = f"another topic of that name (id {topic_id}, it was {known_id})"
    elif committed is None:
        found = "none, though this service has committed before"
    else:
        found = f"{committed.offset}, and a log from {begin} to {end}"
    raise OffsetsLostError(_problem(tp, found))


def _was_read(tp: TopicPartition, offsets: Offsets, remembered: Mapping[str, str]) -> bool:
    """Return whether offsets were lost. A new partition, whose topic has other offsets, is not a loss."""
    others = any(other.topic == tp.topic for other in offsets.committed)
    return tp.topic in remembered and not others


def _problem(tp: TopicPartition, found: str) -> Problem:
    return Problem(
        f"input {tp.topic}, partition {tp.partition}",
        "a service continues from the offset that it committed",
        found,
        "start once with --inputs-from earliest (records may be processed again) or --inputs-from latest"
        " (existing records are skipped)",
    )
