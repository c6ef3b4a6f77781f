"""Where an input partition is to be read from, and when that is refused.

Pure: committed offset, log start and end, and what this worker remembers, to an offset or a problem.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal, NamedTuple

from aiokafka.structs import TopicPartition

from larder.declaring.problems import LarderError, Problem
from larder.kafka.committed import Committed
from larder.kafka.topic_metadata import Described

Fallback = Literal["earliest", "latest"]


class Offsets(NamedTuple):
    """Log starts and ends by partition; committed offsets, where there are any, of all partitions of these topics.

    A transaction that has not ended may be about to change those that are `pending`.
    """

    committed: Mapping[TopicPartition, Committed]
    begins: Mapping[TopicPartition, int]
    ends: Mapping[TopicPartition, int]
    pending: Collection[TopicPartition] = ()

    def placed_by(self) -> Mapping[str, Described]:
        """Topics as they were when the service began to depend on their number of partitions."""
        return {
            tp.topic: Described(each.topic_id, each.placed_by) for tp, each in self.committed.items() if each.placed_by
        }

    def by(self, tps: Collection[TopicPartition]) -> set[str]:
        """The transactional ids that committed these partitions last."""
        return {self.committed[tp].by for tp in tps if tp in self.committed} - {""}


class OffsetsLostError(LarderError):
    """A service that has committed before finds its offsets gone or out of the topic: it does not guess."""

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
    """The offset to read `tp` from; `fallback` says what to do where the committed one is of no use.

    Raises OffsetsLostError. A partition without an offset starts at the log's start, unless this service
    has committed for its topic before.
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
    """New partitions of a topic have no offset while its others have: they are no loss."""
    others = any(other.topic == tp.topic for other in offsets.committed)
    return tp.topic in remembered and not others


def _problem(tp: TopicPartition, found: str) -> Problem:
    return Problem(
        f"input {tp.topic}, partition {tp.partition}",
        "a service goes on from the offset that it committed",
        found,
        "start once with --inputs-from earliest (records may be processed again) or --inputs-from latest"
        " (what is there now is passed over)",
    )
