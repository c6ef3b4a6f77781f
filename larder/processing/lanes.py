"""Lanes: for each assigned partition, the batches that wait to be processed, in order.

A lane passes its records, slice by slice, to one handler. It may run when it has records and its tables are caught up.
A lane that has enough records asks for no more, so the consumer never has to wait to deliver a batch. The module knows
neither Kafka clients nor stores.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from aiokafka.structs import TopicPartition

from larder.declaring.records import Record
from larder.kafka.batch_consumer import Batch

SLICE_RECORDS = 500
"""How many records are handled before control returns to the event loop: one to two milliseconds of work."""

ENOUGH_RECORDS = 8_000
"""A lane that holds this many records asks for no more."""


class Handler(Protocol):
    """Handles the records of one partition."""

    def process(self, records: Sequence[Record], position: int) -> None:
        """Run all declarations on `records`; `position` is the next offset after them."""

    def busy(self) -> bool:
        """Return whether it cannot take more at the moment."""


class Lane:
    """The batches of one partition on their way to a handler.

    `held` returns whether the lane has to wait, for instance until its tables are caught up.
    """

    def __init__(self, tp: TopicPartition, handler: Handler, held: Callable[[], bool]) -> None:
        self.tp = tp
        self.handler = handler
        self.held = held
        self._batches: deque[Batch] = deque()
        self._taken = 0
        self._queued = 0

    @property
    def queued(self) -> int:
        """The number of records that wait here."""
        return self._queued

    def wants_more(self) -> bool:
        return self._queued < ENOUGH_RECORDS

    def put(self, batch: Batch) -> None:
        self._batches.append(batch)
        self._queued += len(batch.records)

    def ready(self) -> bool:
        return bool(self._batches) and not self.held() and not self.handler.busy()

    def step(self) -> int:
        """Process one slice, and return the number of its records."""
        batch = self._batches[0]
        records = batch.records
        if len(records) > SLICE_RECORDS:
            records = records[self._taken : self._taken + SLICE_RECORDS]
        self._taken += len(records)
        whole = self._taken >= len(batch.records)
        self.handler.process(records, batch.position if whole else records[-1].offset + 1)
        self._queued -= len(records)
        if whole:
            self._batches.popleft()
            self._taken = 0
        return len(records)
