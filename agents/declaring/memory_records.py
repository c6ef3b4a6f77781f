"""The records of a run in memory: what is given becomes bytes, as it would be in Kafka.

It knows topics and their keys, and may not know joins.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec

from agents.declaring.joins import events_of
from agents.declaring.service import Service
from tables.declaring.decoding import decoder
from tables.declaring.problems import DeclarationError, Problem
from tables.declaring.rows import Row
from tables.declaring.topics import EventTopic, OwnerTopic

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


Log: TypeAlias = dict[str, list[MemoryRecord]]


def records(service: Service, given: Mapping[str | Topic, Sequence[Given]]) -> Log:
    """Give the records of each topic by name; DeclarationError for one that is not read."""
    known = {topic.name: topic for topic in _read(service)}
    log: Log = {}
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


def _record(topic: Topic, offset: int, given: Given) -> MemoryRecord:
    key, row = given if isinstance(given, tuple) else (getattr(given, topic.key), given)
    value = msgspec.json.encode(row) if isinstance(row, msgspec.Struct) else row
    encoded = None if key is None else topic.key_codec.encode(key)
    return MemoryRecord(encoded, value, offset, row_type=topic.row)
