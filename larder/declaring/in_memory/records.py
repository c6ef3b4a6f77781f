"""The records of a run in memory: what is given becomes bytes, as it would be in Kafka.

It knows topics and their keys, and may not know joins.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from larder.declaring.decoding import decoder
from larder.declaring.problems import DeclarationError, Problem
from larder.declaring.rows import Row
from larder.declaring.sources import events_of
from larder.declaring.topics import EventTopic, OwnerTopic

if TYPE_CHECKING:
    from larder.declaring.service import Service

Topic: TypeAlias = EventTopic | OwnerTopic
Value: TypeAlias = Row | bytes | None
Given: TypeAlias = Row | tuple[Any, Value]


@dataclass(frozen=True)
class MemoryRecord:
    """One record that went in or came out of a run in memory.

    key, value   as bytes, the way they would be in Kafka.
    offset       its place in the list of its topic.
    row          what `value` holds, typed; None without a value. ValueError when it
                 cannot be read as a row of its topic, as in a dead letter.
    """

    key: bytes | None
    value: bytes | None
    offset: int
    headers: Sequence[tuple[str, bytes | None]] = ()
    timestamp: int = 0
    row_type: type[Row] | None = None

    @property
    def row(self) -> Any:
        """The value, decoded as the row type that its topic was declared with."""
        if self.value is None:
            return None
        return decoder(self.row_type or Any)(self.value)


class TopicRecords(dict[str, list[MemoryRecord]]):
    """Records of each topic, by its name or by the topic itself."""

    def __missing__(self, topic: object) -> list[MemoryRecord]:
        """Find the records of a topic that is given as the object; KeyError names the topics that there are."""
        if isinstance(topic, EventTopic | OwnerTopic) and topic.name in self:
            return self[topic.name]
        name = topic if isinstance(topic, str) else getattr(topic, "name", topic)
        message = f"the run requires a topic that it publishes into; found {name!r}; ask for {', '.join(self)}"
        raise KeyError(message)

    def __getitem__(self, topic: str | Topic) -> list[MemoryRecord]:
        """Give the records of a topic."""
        return super().__getitem__(topic)  # type: ignore[index]  # `__missing__` takes the object


def records(service: Service, given: Mapping[str | Topic, Sequence[Given]]) -> TopicRecords:
    """Give the records of each topic by name; DeclarationError for one that is not read."""
    known = {topic.name: topic for topic in _read(service)}
    log = TopicRecords()
    for topic, rows in given.items():
        name = topic if isinstance(topic, str) else topic.name
        if name not in known:
            problem = Problem(
                f"records of {name}",
                f"a run of {service.name} requires topics that it reads",
                f'"{name}"',
                f"give records of {', '.join(known)}",
            )
            raise DeclarationError([problem])
        log[name] = [_record(known[name], offset, row) for offset, row in enumerate(rows)]
    return log


def _read(service: Service) -> Iterator[Topic]:
    for table in service.tables:
        yield table.topic
    yield from (events_of(source) for source in service.sources)


def _no_row(topic: Topic, offset: int, found: object) -> Problem:
    name = topic.row.__name__
    return Problem(
        f"record {offset} of {topic.name}",
        f"requires a row of {name}, or a pair of (key, row), where the row may be JSON bytes or None",
        f"a {type(found).__name__}",
        f"give {name}(...)",
    )


def _record(topic: Topic, offset: int, given: Given) -> MemoryRecord:
    key: Any = None
    row: Any = given
    allowed: tuple[type, ...] = (topic.row,)
    if isinstance(given, tuple) and len(given) == 2:  # noqa: PLR2004 - a pair
        (key, row), allowed = given, (topic.row, bytes, type(None))
    if not isinstance(row, allowed):
        raise DeclarationError([_no_row(topic, offset, row)])
    if row is given:
        key = getattr(row, topic.key)
    value = msgspec.json.encode(row) if isinstance(row, msgspec.Struct) else row
    encoded = None if key is None else topic.key_codec.encode(key)
    return MemoryRecord(encoded, value, offset, row_type=topic.row)
