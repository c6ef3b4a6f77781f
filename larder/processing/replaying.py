"""Replays dead letters: each is processed again by the step that dead-lettered it, and by no other.

They arrive in a topic of the service that is partitioned like the input. The step gets the original record with its
offset in the input, so that its outputs are named as if it had never been dead-lettered. A record that the service has
read from another topic, before it was scaled, gets an offset that no record of the input has. A replay that nobody had
processed by then goes on to the topic of the input that has its step today.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from aiokafka.structs import TopicPartition

from larder.declaring.dead_letters import MOVED, REPLAYED, STEP, replayed_from
from larder.declaring.one_form import in_one_form
from larder.declaring.records import PlainRecord, Record
from larder.delivery.output import Output
from larder.kafka.partitioner import partition_of
from larder.operators.context import PartitionContext
from larder.operators.copying import emit
from larder.operators.partition_keys import KeyOf
from larder.processing.handlers import InputHandler


class Onward(NamedTuple):
    """The topic of replays of an input that has a step today, and the key by which it is partitioned."""

    output: Output
    key_of: KeyOf


class ReplayHandler:
    """One partition of replayed records of `source`; the handler of that input has the steps."""

    def __init__(
        self,
        at: PartitionContext,
        source: TopicPartition,
        handler: InputHandler,
        former: Collection[str] = (),
        onward: Mapping[str, Onward] = MappingProxyType({}),
    ) -> None:
        """Take what has changed since the service was scaled.

        `former` are the topics from which it may have read the records of `source` before. `onward` has the steps that
        are elsewhere today.
        """
        self._at = at
        self._source = source
        self._handler = handler
        self._former = former
        self._onward = onward

    def process(self, records: Sequence[Record], position: int) -> None:
        for record in records:
            self._replay(record)
        self._at.delivery.done(self._at.tp, position)

    def busy(self) -> bool:
        return self._handler.busy()

    def _replay(self, record: Record) -> None:
        step = (dict(record.headers).get(STEP) or b"").decode(errors="replace")
        if (offset := self._offset(record)) is None:
            place = f"{self._source.topic}/{self._source.partition}"
            cause = f"a replayed record requires the header {REPLAYED} with an offset of {place}"
            self._at.dead_letters().add(record, cause)
            return
        if step not in self._handler.steps and (onward := self._onward.get(step)) is not None:
            self._send_on(record, onward)
            return
        again = PlainRecord(offset, record.timestamp, record.key, record.value, record.headers)
        if (stage := self._handler.steps.get(step)) is None:
            found = ", ".join(self._handler.steps) or "none"
            cause = f"replaying requires the step {step!r} of the service on {self._source.topic}; found {found}"
            self._at.of(self._source).for_step(step).dead_letters().add(again, cause)
            return
        stage.process(in_one_form((again,), self._handler.key_type))

    def _send_on(self, record: Record, onward: Onward) -> None:
        output, key = onward.output, onward.key_of(record)
        to = self._source.partition % output.partitions if key is None else partition_of(key, output.partitions)
        emit(self._at.delivery, output, to, record, list(record.headers))

    def _offset(self, record: Record) -> int | None:
        """Return the offset with which a step gets a record; None if it is not a record of the source."""
        if (found := replayed_from(record)) is None:
            return None
        if (found.topic, found.partition) == self._source:
            return found.offset
        # Waiting records are named by their offsets: that of another topic may name another record here.
        return MOVED + record.offset if found.topic in self._former else None
