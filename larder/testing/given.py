"""Makes records, as in Kafka, from the values that a test gives; raises DeclarationError for an invalid value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from larder.declaring.fields import fields
from larder.declaring.operators import Topic
from larder.declaring.problems import DeclarationError, Problem
from larder.declaring.rows import Row
from larder.declaring.sources import events_of
from larder.testing.records import MemoryRecord

if TYPE_CHECKING:
    from larder.declaring.service import Service

Given: TypeAlias = Row | tuple[Any, Row | bytes | None]
Sent: TypeAlias = Row | Mapping[str, Any] | bytes | None

OF_THE_ROW: Final[Any] = object()
"""The default for a record's key: the key field of its value."""


def topic_read(service: Service, topic: str | Topic, requests: Iterable[Topic] = ()) -> Topic:
    """Return a topic that a service reads, or one of requests; raise DeclarationError for any other."""
    known = {each.name: each for each in (*_read(service), *requests)}
    name = topic if isinstance(topic, str) else topic.name
    if name not in known:
        problem = Problem(
            f"records of {name}",
            f"a run of {service.name} requires topics that it reads",
            f'"{name}"',
            f"give records of {', '.join(known)}",
        )
        raise DeclarationError([problem])
    return known[name]


def listed(topic: Topic, given: Sequence[Given]) -> list[MemoryRecord]:
    """Return records for a list of rows, or of pairs of a key and a row, bytes or None."""
    return [_listed(topic, offset, each) for offset, each in enumerate(given)]


def requests_listed(topic: Topic, given: Sequence[Given]) -> list[MemoryRecord]:
    """Return requests for a list of rows, or of pairs of an `Idempotency-Key` and a row, bytes or None."""
    return listed(topic, [each if isinstance(each, tuple) else (None, each) for each in given])


def sent(topic: Topic, offset: int, value: Sent, key: Any) -> tuple[bytes | None, bytes | None]:
    """Return key and value of a record for a row, a dict (written as JSON), bytes (unchanged) or None."""
    if not isinstance(value, topic.row | Mapping | bytes | None):
        raise _refused(topic, offset, f"requires a row of {topic.row.__name__}, a dict, JSON bytes or None", value)
    return _key(topic, _own_key(topic, offset, value) if key is OF_THE_ROW else key), _json(value)


def _read(service: Service) -> Iterator[Topic]:
    for table in (*service.tables, *(remote.table for remote in service.asked)):
        yield table.topic
    yield from (events_of(source) for source in service.sources)


def _listed(topic: Topic, offset: int, given: Given) -> MemoryRecord:
    if isinstance(given, topic.row):
        return MemoryRecord(_key(topic, getattr(given, topic.key)), _json(given), offset, row_type=topic.row)
    if not (isinstance(given, tuple) and len(given) == 2):  # noqa: PLR2004 - a pair
        raise _no_row(topic, offset, given)
    key, row = given
    if not isinstance(row, topic.row | bytes | None):
        raise _no_row(topic, offset, row)
    return MemoryRecord(_key(topic, key), _json(row), offset, row_type=topic.row)


def _key(topic: Topic, key: Any) -> bytes | None:
    return key if key is None or isinstance(key, bytes) else topic.key_codec.encode(key)


def _json(value: Sent) -> bytes | None:
    return value if value is None or isinstance(value, bytes) else msgspec.json.encode(value)


def _own_key(topic: Topic, offset: int, value: Sent) -> Any:
    if isinstance(value, Row):
        return getattr(value, topic.key)
    if not isinstance(value, Mapping):
        return None
    name = fields(topic.row)[topic.key].encode_name
    try:
        return msgspec.convert(value.get(name), topic.key_type)
    except msgspec.ValidationError:
        requires = f"requires a {topic.key_type.__name__} in {name}, which its message key is made of"
        problem = Problem(f"record {offset} of {topic.name}", requires, repr(value.get(name)), "give its key: key=...")
        raise DeclarationError([problem]) from None


def _no_row(topic: Topic, offset: int, found: object) -> DeclarationError:
    name = topic.row.__name__
    requires = f"requires a row of {name}, or a pair of (key, row), where the row may be JSON bytes or None"
    return _refused(topic, offset, requires, found)


def _refused(topic: Topic, offset: int, requires: str, found: object) -> DeclarationError:
    found_type, do = f"a {type(found).__name__}", f"give {topic.row.__name__}(...)"
    return DeclarationError([Problem(f"record {offset} of {topic.name}", requires, found_type, do)])
