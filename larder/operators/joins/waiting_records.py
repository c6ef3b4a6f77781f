"""Waiting records as they lie in their topic: a row for each, with the record's own bytes inside, in base64.

So what a record contains can neither make its row unreadable, nor be read otherwise than it came. Only workers of the
service read them back, on this machine or another; what somebody else writes there is no row, or is a record like any
other.
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
    """One record, as it came. `deadline` in seconds, `timestamp` in milliseconds, since the epoch."""

    id: str
    offset: Offset
    timestamp: Timestamp
    deadline: float
    key: bytes | None
    value: bytes
    headers: list[tuple[str, bytes | None]]


def waiting_topic(name: str, partitions: int) -> OwnerTopic:
    """The table that keeps waiting records."""
    return OwnerTopic(name, StoredWaitingRecord, key="id", partitions=partitions)


def written(place: WaitingPlace, record: Record) -> bytes:
    """The row of `record` at its `place`; a record that may wait has a value."""
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
    """The place and the record of a row that was written."""
    found = msgspec.json.decode(row, type=StoredWaitingRecord)
    place = WaitingPlace(found.id.encode(), found.key, found.offset, found.timestamp, found.deadline)
    return place, PlainRecord(found.offset, found.timestamp, found.key, found.value, found.headers)
