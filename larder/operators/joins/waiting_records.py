"""Waiting orders as they lie in their topic: a row for each, with the order's own bytes inside, in base64.

So what an order contains can neither make its row one that is not read, nor be read otherwise than it came.
Public to nobody but the worker that reads them back, on this machine or another; what somebody else writes
there is no row, or is an order like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, NamedTuple

import msgspec

from larder.declaring.records import Record
from larder.declaring.rows import Row
from larder.declaring.topics import OwnerTopic
from larder.operators.joins.waiting_index import WaitingPlace

Offset = Annotated[int, msgspec.Meta(ge=0)]
Timestamp = Annotated[int, msgspec.Meta(ge=-1, le=2**63 - 1)]


# No unknown fields: skipping what they hold could fail at one depth of the stack and not at another.
class WaitingOrder(Row, forbid_unknown_fields=True):
    """One order, as it came. `deadline` in seconds, `timestamp` in milliseconds, since the epoch."""

    id: str
    offset: Offset
    timestamp: Timestamp
    deadline: float
    key: bytes | None
    value: bytes
    headers: list[tuple[str, bytes | None]]


class Order(NamedTuple):
    """An order that waits, as the record that it was."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()


def waiting_topic(name: str, partitions: int) -> OwnerTopic:
    """The table that keeps waiting orders."""
    return OwnerTopic(name, WaitingOrder, key="id", partitions=partitions)


def written(place: WaitingPlace, order: Record) -> bytes:
    """The row of `order` at its `place`; an order that may wait has a value."""
    return msgspec.json.encode(
        WaitingOrder(
            id=place.id.decode(),
            offset=order.offset,
            timestamp=order.timestamp,
            deadline=place.deadline,
            key=order.key,
            value=order.value or b"",
            headers=list(order.headers or ()),
        )
    )


def read(row: bytes) -> tuple[WaitingPlace, Order]:
    """The place and the order of a row that was written."""
    found = msgspec.json.decode(row, type=WaitingOrder)
    place = WaitingPlace(found.id.encode(), found.key, found.offset, found.timestamp, found.deadline)
    return place, Order(found.offset, found.timestamp, found.key, found.value, found.headers)
