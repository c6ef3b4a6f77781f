"""What the broker refuses to take, and which record it was.

The broker refuses a whole batch because of one record, and nothing can be committed without that batch. So outputs
that are refused again and again are published carefully for a while, each record in a batch of its own. That shows
which record is refused, and the record that it was made of becomes a dead letter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from aiokafka.errors import InvalidTimestampError, KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

REFUSED = (InvalidTimestampError, MessageSizeTooLargeError, RecordListTooLargeError)
"""Errors that are about what a batch contains: it is refused again however often it is sent."""

REFUSALS = 3
"""This many are only retried: the topic may have been changed, or be changed back."""

CALM_SECONDS = 10.0
"""After this time without a refusal, records go in full batches again."""


class SentRecord(NamedTuple):
    """A record as it was to be published; `timestamp` in milliseconds since the epoch."""

    topic: str
    key: bytes | None
    timestamp: int


class Refusals:
    """Counts refusals, and knows the records that were refused alone until it has been calm for long enough."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._count = 0
        self._last = 0.0
        self._causes: dict[SentRecord, str] = {}

    def careful(self) -> bool:
        """Each record is to go in a batch of its own."""
        if self._count and self._clock() - self._last > CALM_SECONDS:
            self._count = 0
            self._causes.clear()
        return self._count >= REFUSALS

    def refused(self, alone: Mapping[SentRecord, KafkaError]) -> None:
        """A unit was refused; `alone` has those of its records that were in a batch of their own, and why."""
        self._count += 1
        self._last = self._clock()
        for record, error in alone.items():
            self._causes[record] = (
                f"topic {record.topic} refuses a record with this key and the timestamp {record.timestamp} ms:"
                f" {error}; see max.message.bytes and message.timestamp.* of the topic"
            )

    def cause(self, record: SentRecord) -> str | None:
        """Why a record was refused, for the one who reads dead letters; None if it was not."""
        return self._causes.get(record)
