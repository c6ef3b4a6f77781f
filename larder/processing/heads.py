"""Processes the head of an input: what was copied there before a generation of the service began.

The head has the records that waited, each for the join that it waited in, and behind them the records that nobody had
processed, for all steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from larder.declaring.one_form import in_one_form
from larder.declaring.records import PlainRecord, Record
from larder.delivery.headers import WAITED_HEADER
from larder.operators.context import PartitionContext
from larder.operators.joins.join import JoinStep
from larder.processing.handlers import InputHandler


class HeadHandler:
    """An input whose records before the offset `head` were copied; `handler` has the steps."""

    def __init__(self, at: PartitionContext, handler: InputHandler, head: int) -> None:
        self.handler = handler
        self._at = at
        self._head = head

    def process(self, records: Sequence[Record], position: int) -> None:
        if records and records[0].offset < self._head:
            self._process_head([record for record in records if record.offset < self._head])
            records = [record for record in records if record.offset >= self._head]
        self.handler.process(records, position)

    def busy(self) -> bool:
        return self.handler.busy()

    def _process_head(self, records: Sequence[Record]) -> None:
        for waited, some in groupby(records, _has_waited):
            if waited:
                for record in some:
                    self._take_back(record)
            else:
                together = list(some)
                self.handler.process(together, together[-1].offset + 1)

    def _take_back(self, record: Record) -> None:
        """Let a record wait on, up to its own deadline, unless its rows are there by now."""
        deadline, _, name = (dict(record.headers)[WAITED_HEADER] or b"").decode().partition(" ")
        headers = [header for header in record.headers if header[0] != WAITED_HEADER]
        again = PlainRecord(record.offset, record.timestamp, record.key, record.value, headers)
        step = self.handler.steps.get(name)
        if isinstance(step, JoinStep):
            step.take_back(in_one_form((again,), self.handler.key_type)[0], float(deadline))
            return
        found = ", ".join(self.handler.steps) or "none"
        cause = f"a record that waited requires the step {name!r} on {self._at.tp.topic}; found {found}"
        self._at.for_step(name).dead_letters().add(again, cause)


def _has_waited(record: Record) -> bool:
    return any(name == WAITED_HEADER for name, _ in record.headers)
