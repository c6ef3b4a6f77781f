"""Rows and records that the tests of the store share."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from larder import OwnerTopic, Row
from larder.store import Memory, Table
from larder.store.storage.memory import MIB


class Customer(Row):
    customer_id: str
    name: str = ""
    country: str | None = None
    revision: int


class Stricter(Customer):
    """Rejects rows of `Customer`."""

    street: str


class Other(Customer):
    """Rejects rows of `Customer`, too."""

    town: str


class Plain(Row):
    customer_id: str
    name: str = ""


customers = OwnerTopic("shop.customers", Customer, key="customer_id", revision="revision", indexes=["country"])
stricter = OwnerTopic("shop.customers", Stricter, key="customer_id", revision="revision")
other = OwnerTopic("shop.customers", Other, key="customer_id", revision="revision")
plains = OwnerTopic("shop.plains", Plain, key="customer_id")


@dataclass(frozen=True)
class Sent:
    """A record as a consumer returns it."""

    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int = 1_000
    headers: Sequence[tuple[str, bytes | None]] = ()


def row(offset: int, key: str, revision: int, *, timestamp: int = 1_000, **fields: Any) -> Sent:
    body = {"customer_id": key, **fields, "revision": revision}
    return Sent(offset, key.encode(), json.dumps(body).encode(), timestamp)


def plain(offset: int, key: str, name: str) -> Sent:
    return Sent(offset, key.encode(), json.dumps({"customer_id": key, "name": name}).encode())


def gone(offset: int, key: str, revision: int | None = None, *, timestamp: int = 1_000) -> Sent:
    headers = () if revision is None else (("larder.revision", b"%d" % revision),)
    return Sent(offset, key.encode(), None, timestamp, headers)


def small_memory() -> Memory:
    return Memory(8 * MIB, 8 * MIB, MIB)


def opened(
    directory: Path,
    topic: OwnerTopic = customers,
    partitions: Sequence[int] = (0, 1),
    **options: Any,
) -> Table:
    table = Table(topic, directory, small_memory(), "global", **options)
    table.open(partitions, "id-1")
    return table


def by_partition(directory: Path, topic: OwnerTopic = customers, partitions: Sequence[int] = (0, 1)) -> Table:
    table = Table(topic, directory, small_memory(), "partition")
    table.open(partitions, "id-1")
    return table


def ticking(times: list[float]) -> Callable[[], float]:
    """A clock with the only time in the list, which a test may replace."""
    return lambda: times[0]
