"""The format of waiting records in their topic: a row for each, with the record's bytes in base64.

So the content of a record cannot make its row unreadable, and does not change on the way. Only workers of the service
read them back, on any machine. A record by another writer is either not a row, or is treated like any other.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from larder.declaring.records import PlainRecord, Record
from larder.declaring.rows import Row
from larder.declaring.topics import OwnerTopic
from larder.operators.joins.waiting_index import WaitingPlace

Offset = Annotated[int, msgspec.Meta(ge=0)]
Timestamp = Annotated[int, msgspec.Meta(ge=-1, le=2**63 - 1)]


# No unknown fields: skipping what they hold could fail at one depth of the stack and not at another.
class StoredWaitingRecord(Row, forbid_unknown_fields=True):
    """A record as it came. `deadline` is in seconds, `timestamp` in milliseconds since the epoch."""

    id: str
    offset: Offset
    timestamp: Timestamp
    deadline: float
    key: bytes | None
    value: bytes
    headers: list[tuple[str, bytes | None]]


def waiting_topic(name: str, partitions: int) -> OwnerTopic:
    """Return the table that keeps waiting records."""
    return OwnerTopic(name, StoredWaitingRecord, key="id", partitions=partitions)


def written(place: WaitingPlace, record: Record) -> bytes:
    """Encode the row of `record` at its `place`. A record that may wait has a value."""
    return msgspec.json.encode(
        StoredWaitingRecord(
            id=place.id.decode(),
            offset=record.offset,
            timestamp=record.timestamp,
            deadline=place.deadline,
            key=record.key,
            value=record.value or b"",
            headers=list(record.headers or ()),
        )
    )


def read(row: bytes) -> tuple[WaitingPlace, PlainRecord]:
    """Decode a row into its place and its record."""
    found = msgspec.json.decode(row, type=StoredWaitingRecord)
    place = WaitingPlace(found.id.encode(), found.key, found.offset, found.timestamp, found.deadline)
    return place, PlainRecord(found.offset, found.timestamp, found.key, found.value, found.headers)
