"""Reads and checks rows to publish, and sends them to their topic.

All rows are checked before the first is sent.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from larder.config.connection import Connection
from larder.config.errors import MistakeError
from larder.declaring.decoding import decoder
from larder.declaring.problems import Problem
from larder.declaring.topics import OwnerTopic
from larder.queries.key_texts import encoded_key, key_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from larder.declaring.topics import EventTopic

# Enough to see what is wrong with a file without filling the screen.
SHOWN_PROBLEMS = 10
# Unacknowledged records at a time: enough to fill batches, and a bound on memory.
ON_THE_WAY = 5_000


class Message(NamedTuple):
    """One record to publish; without a value it deletes the row of its key."""

    key: bytes
    value: bytes | None


class Published(NamedTuple):
    """The number of acknowledged records, the coordinates of the last one, and the last offset in each partition."""

    records: int
    partition: int
    offset: int
    offsets: Mapping[int, int]


def messages(topic: EventTopic | OwnerTopic, rows: Iterable[str], key: str | None = None) -> list[Message]:
    """Read rows, each a JSON object; `key` fills in a missing key field.

    Raises a `MistakeError` that says what is wrong with each row.
    """
    found: list[Message] = []
    problems: list[Problem] = []
    decode = decoder(topic.row)
    for number, text in enumerate(rows, 1):
        try:
            value = _with_key(topic, text.strip().encode(), key)
            row = decode(value)
            message_key = topic.key_codec.encode(getattr(row, topic.key))
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            problems.append(_refused(topic, number, str(error)))
            continue
        if key is not None and message_key != encoded_key(topic, key):
            problems.append(_refused(topic, number, f"another key than --key {key} in {topic.key}"))
        found.append(Message(message_key, value))
    if problems:
        raise MistakeError(*problems[:SHOWN_PROBLEMS])
    return found


def deletions(topic: EventTopic | OwnerTopic, keys: Iterable[str]) -> list[Message]:
    """Return the tombstones of rows; raises `MistakeError` for a topic of events, which cannot be deleted."""
    wanted = list(keys)
    if wanted and not isinstance(topic, OwnerTopic):
        found = "a topic of events, where every record counts"
        raise MistakeError(Problem(f"--delete in {topic.name}", "requires a topic of rows", found, "leave it out"))
    return [Message(encoded_key(topic, key), None) for key in wanted]


async def publish(connection: Connection, topic: str, wanted: Sequence[Message]) -> Published:
    """Send records in order, each to the partition of its key. `wanted` is not empty.

    Raises KafkaError; the records before it were sent.
    """
    from larder.kafka.publishers import publisher  # noqa: PLC0415 - checking rows alone needs no client

    offsets: dict[int, int] = {}
    async with publisher(connection, linger_ms=5) as producer:
        for first in range(0, len(wanted), ON_THE_WAY):
            now = int(time.time() * 1000)
            sends = [
                await producer.send(topic, message.value, message.key, timestamp_ms=now)
                for message in wanted[first : first + ON_THE_WAY]
            ]
            for metadata in await asyncio.gather(*sends):
                offsets[metadata.partition] = metadata.offset
    return Published(len(wanted), metadata.partition, metadata.offset, offsets)


def _with_key(topic: EventTopic | OwnerTopic, value: bytes, key: str | None) -> bytes:
    if key is None:
        return value
    fields = msgspec.json.decode(value, type=dict[str, msgspec.Raw])
    name = next(field.encode_name for field in msgspec.structs.fields(topic.row) if field.name == topic.key)
    if name in fields:
        return value
    written = msgspec.Raw(msgspec.json.encode(key_value(topic, key)))
    return msgspec.json.encode({name: written, **fields})


def _refused(topic: EventTopic | OwnerTopic, number: int, found: str) -> Problem:
    return Problem(f"row {number} for {topic.name}", f"requires a JSON object of {topic.row.__name__}", found, "fix it")
