"""What comes of a run in memory: records as they would be in Kafka, dead letters, and answers to requests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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


class MemoryAnswer(NamedTuple):
    """The answer to a request.

    status         as in HTTP: 201 or 200 if it is decided, 409 if it is refused, 400 or 422 if it
                   is not valid, 500 if the function failed.
    row, revision  the row as it was after the decision; None if there was none, and with any other
                   status than 200 and 201.
    reason         why it is refused or not valid, or how the function failed; None otherwise.
    repeated       it came before with the same `Idempotency-Key`, and this is its first answer.
    """

    status: int
    row: Any = None
    revision: int | None = None
    reason: str | None = None
    repeated: bool = False


class TopicRecords(dict[str, list[MemoryRecord]]):
    """Records of each topic, by its name or by the topic itself; `answers` to requests, by their address."""

    def __init__(self, records: Mapping[str, list[MemoryRecord]], addresses: Iterable[str] = ()) -> None:
        """Keep records, and start without answers."""
        super().__init__(records)
        self.answers: dict[str, list[MemoryAnswer]] = {address: [] for address in addresses}

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
