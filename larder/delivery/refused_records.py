"""Finds the records that the broker refuses.

The broker refuses a whole batch because of one record, and nothing can be committed without that batch. So after
repeated refusals, each record is published in its own batch for a while. This shows which record is refused, and its
input record becomes a dead letter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from aiokafka.errors import InvalidTimestampError, KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

REFUSED = (InvalidTimestampError, MessageSizeTooLargeError, RecordListTooLargeError)
"""Errors about the content of a batch: the broker refuses it however often it is sent."""

REFUSALS = 3
"""After this many refusals records are sent alone. Before, outputs are only retried: the topic may be changed."""

CALM_SECONDS = 10.0
"""After this time without a refusal, records are sent in full batches again."""


class SentRecord(NamedTuple):
    """A record as it was to be published; `timestamp` in milliseconds since the epoch."""

    topic: str
    key: bytes | None
    timestamp: int


class Refusals:
    """Counts refusals, and remembers the records that were refused alone, until there were none for a while."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._count = 0
        self._last = 0.0
        self._causes: dict[SentRecord, str] = {}

    def careful(self) -> bool:
        """Return whether each record must be sent in its own batch."""
        if self._count and self._clock() - self._last > CALM_SECONDS:
            self._count = 0
            self._causes.clear()
        return self._count >= REFUSALS

    def refused(self, alone: Mapping[SentRecord, KafkaError]) -> None:
        """Note that a unit was refused; `alone` has the errors of its records that were in their own batches."""
        self._count += 1
        self._last = self._clock()
        for record, error in alone.items():
            self._causes[record] = (
                f"topic {record.topic} refuses a record with this key and the timestamp {record.timestamp} ms:"
                f" {error}; see max.message.bytes and message.timestamp.* of the topic"
            )

    def cause(self, topic: str, key: bytes | None, timestamp: int) -> str | None:
        """Return why a record was refused, as the cause of a dead letter; None if it was not."""
        return self._causes.get(SentRecord(topic, key, timestamp)) if self._causes else None
