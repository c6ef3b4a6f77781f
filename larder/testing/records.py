"""The records of a run in memory, as they would be in Kafka: inputs, outputs and dead letters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple, TypeAlias

from larder.declaring.decoding import decoder
from larder.declaring.operators import Topic
from larder.declaring.rows import Row
from larder.declaring.topics import EventTopic, OwnerTopic

Headers: TypeAlias = Sequence[tuple[str, bytes | None]]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class MemoryRecord:
    """One record that went into a run in memory, or came out of it.

    key, value   as bytes, as they would be in Kafka.
    offset       its index in the list of its topic.
    headers      pairs of a name and bytes.
    timestamp    in ms since 1970; `at` is the same time in UTC.
    row          the typed row in `value`; None without a value. Raises ValueError if it
                 cannot be read as a row of its topic, as in a dead letter.
    """

    key: bytes | None
    value: bytes | None
    offset: int
    headers: Headers = ()
    timestamp: int = 0
    row_type: type[Row] | None = None

    @property
    def at(self) -> datetime:
        """The timestamp as a time in UTC."""
        return _EPOCH + timedelta(milliseconds=self.timestamp)

    @property
    def row(self) -> Any:
        """The value, decoded as the row type of its topic."""
        if self.value is None:
            return None
        return decoder(self.row_type or Any)(self.value)


class MemoryLetter(NamedTuple):
    """A record that a service could not handle: its topic and offset, the cause, and the record itself."""

    topic: str
    offset: int
    cause: str
    record: MemoryRecord


class TopicRecords(dict[str, list[MemoryRecord]]):
    """Records of each topic, by its name or by the topic itself."""

    def __missing__(self, topic: object) -> list[MemoryRecord]:
        """Return the records of a topic object; raise KeyError, which lists the topics, if there are none."""
        if isinstance(topic, EventTopic | OwnerTopic) and topic.name in self:
            return self[topic.name]
        name = topic if isinstance(topic, str) else getattr(topic, "name", topic)
        message = f"the run requires a topic that it publishes into; found {name!r}; ask for {', '.join(self)}"
        raise KeyError(message)

    def __getitem__(self, topic: str | Topic) -> list[MemoryRecord]:
        """Return the records of a topic."""
        return super().__getitem__(topic)  # type: ignore[index]  # `__missing__` takes the object
