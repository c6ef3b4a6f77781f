"""Handles the records of one partition, according to the purpose of the partition.

The processing loop passes slices to each handler in log order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Protocol

from larder.declaring.keys import BYTES, KeyType
from larder.declaring.one_form import in_one_form
from larder.declaring.records import Record
from larder.operators.context import PartitionContext
from larder.processing.lanes import Handler
from larder.store.records import Rejected


class InputStep(Protocol):
    """One declaration on an input partition."""

    def process(self, records: Sequence[Record]) -> None: ...

    def busy(self) -> bool:
        """Return whether it cannot take more at the moment."""


class TableHandler:
    """A partition of a table: rows go to its store, invalid ones to the dead letters.

    The store remembers which dead letters are published, so that none is lost if the process ends in between.
    """

    def __init__(self, at: PartitionContext) -> None:
        self._tp = at.tp
        self._table = at.table
        self._dead_letters = at.dead_letters()
        self._delivery = at.delivery

    def process(self, records: Sequence[Record], position: int) -> None:
        rejected = self._table.apply(self._tp.partition, records, position)
        if rejected:
            self._publish(rejected, position)

    def publish_left_over(self) -> None:
        """Publish the rejected rows that the store keeps and that are not known to be published."""
        left = [Rejected(record, record.cause) for record in self._table.unpublished(self._tp.partition)]
        if left:
            self._publish(left, left[-1].record.offset + 1)

    def _publish(self, rejected: Sequence[Rejected], position: int) -> None:
        misplaced = self._table.misplaced(self._tp.partition, [record for record, _ in rejected])
        elsewhere = {each.record.offset for each in misplaced}
        for record, cause in rejected:
            # A row that holds its input back is not dead-lettered: another row type may be able to read it.
            held_back = self._table.role.needs_each_row and self._table.is_unreadable(self._tp.partition, record.key)
            if not held_back or record.offset in elsewhere:
                self._dead_letters.add_rejected(record, cause)
        offsets = [each.record.offset for each in rejected]
        # The store has the table's own position; this offset only fences the dead letters.
        self._delivery.done(self._tp, position)
        self._delivery.unit.afterwards.append(partial(self._table.published, self._tp.partition, offsets))

    def busy(self) -> bool:
        return False


class BothHandler:
    """A partition of a table that is also an input, processed from the offset `begin` on."""

    def __init__(self, table: Handler, source: Handler, begin: int) -> None:
        self._table = table
        self._source = source
        self._begin = begin

    def process(self, records: Sequence[Record], position: int) -> None:
        self._table.process(records, position)
        if position > self._begin:
            self._source.process([record for record in records if record.offset >= self._begin], position)

    def busy(self) -> bool:
        return self._table.busy() or self._source.busy()


class FromOffset:
    """A step that leaves out the records before an offset: they were processed by it before."""

    def __init__(self, step: InputStep, offset: int) -> None:
        self._step = step
        self._offset = offset

    def process(self, records: Sequence[Record]) -> None:
        if new := [record for record in records if record.offset >= self._offset]:
            self._step.process(new)

    def busy(self) -> bool:
        return self._step.busy()


class InputHandler:
    """An input partition: runs all declarations on it, then notes its offset. `steps` are the declarations by name."""

    def __init__(self, at: PartitionContext, steps: Mapping[str, InputStep], key_type: KeyType = BYTES) -> None:
        """`key_type` is the type of the message keys, which are normalized for the steps."""
        self.steps = steps
        self.key_type = key_type
        self._tp = at.tp
        self._delivery = at.delivery

    def process(self, records: Sequence[Record], position: int) -> None:
        if records:
            formed = in_one_form(records, self.key_type)
            for step in self.steps.values():
                step.process(formed)
        self._delivery.done(self._tp, position)

    def busy(self) -> bool:
        return any(step.busy() for step in self.steps.values())
