"""Replays dead letters: each is processed again by the step that dead-lettered it, and by no other.

They arrive in a topic of the service that is partitioned like the input. The step gets the original record with its
offset in the input, so that its outputs are named as if it had never been dead-lettered.
"""

from __future__ import annotations

from collections.abc import Sequence

from aiokafka.structs import TopicPartition

from larder.declaring.coordinates import Coordinates
from larder.declaring.dead_letters import REPLAYED, STEP
from larder.declaring.one_form import in_one_form
from larder.declaring.records import PlainRecord, Record
from larder.operators.context import PartitionContext
from larder.processing.handlers import InputHandler


class ReplayHandler:
    """One partition of replayed records of `source`; the handler of that input has the steps."""

    def __init__(self, at: PartitionContext, source: TopicPartition, handler: InputHandler) -> None:
        self._at = at
        self._source = source
        self._handler = handler

    def process(self, records: Sequence[Record], position: int) -> None:
        for record in records:
            self._replay(record)
        self._at.delivery.done(self._at.tp, position)

    def busy(self) -> bool:
        return self._handler.busy()

    def _replay(self, record: Record) -> None:
        headers = dict(record.headers)
        step, offset = (headers.get(STEP) or b"").decode(errors="replace"), _offset(headers.get(REPLAYED), self._source)
        if offset is None:
            place = f"{self._source.topic}/{self._source.partition}"
            cause = f"a replayed record requires the header {REPLAYED} with an offset of {place}"
            self._at.dead_letters().add(record, cause)
            return
        again = PlainRecord(offset, record.timestamp, record.key, record.value, record.headers)
        if (stage := self._handler.steps.get(step)) is None:
            found = ", ".join(self._handler.steps) or "none"
            cause = f"replaying requires the step {step!r} of the service on {self._source.topic}; found {found}"
            self._at.of(self._source).for_step(step).dead_letters().add(again, cause)
            return
        stage.process(in_one_form((again,), self._handler.key_type))


def _offset(replayed: bytes | None, source: TopicPartition) -> int | None:
    """Return the offset in a record's coordinates; None if it is not a record of `source`."""
    found = Coordinates.read((replayed or b"").decode(errors="replace"))
    return found.offset if found is not None and (found.topic, found.partition) == source else None
