"""Waiting orders as they lie in their topic: a row for each, with the order's own bytes inside.

Public to nobody but the worker that reads them back, on this machine or another.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from agents.engine.places import Place
from tables.declaring import OwnerTopic, Row
from tables.engine.records import Record


class WaitingOrder(Row):
    """One order. `deadline` in seconds, `timestamp` in milliseconds, since the epoch; `key` in base64."""

    id: str
    key: str | None
    offset: int
    timestamp: int
    deadline: float
    order: msgspec.Raw


class Order(NamedTuple):
    """An order that waits, as the record that it was."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


def waiting_topic(name: str, partitions: int) -> OwnerTopic:
    """The table that keeps waiting orders."""
    return OwnerTopic(name, WaitingOrder, key="id", partitions=partitions)


def written(place: Place, order: Record) -> bytes:
    """The row of `order` at its `place`; its value has been found to be JSON."""
    return msgspec.json.encode(
        WaitingOrder(
            id=place.id.decode(),
            key=None if order.key is None else b64encode(order.key).decode(),
            offset=order.offset,
            timestamp=order.timestamp,
            deadline=place.deadline,
            order=msgspec.Raw(order.value or b"null"),
        )
    )


def read(row: bytes) -> tuple[Place, Order]:
    """The place and the order of a row that was written."""
    found = msgspec.json.decode(row, type=WaitingOrder)
    key = None if found.key is None else b64decode(found.key)
    place = Place(found.id.encode(), key, found.offset, found.deadline)
    return place, Order(found.offset, found.timestamp, key, bytes(found.order))
