"""What goes into a table and what comes of it: records, results, and their shapes.

Plain values. This module may not know bytes on disk or RocksDB.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import msgspec

from larder.declaring.records import Record
from larder.store.applying.revision_regressions import Fell
from larder.store.layout import Origin


class Latest(NamedTuple):
    """What a key came to: the JSON of its row, or None for a deletion, and where that comes from."""

    key: bytes
    json: bytes | None
    origin: Origin


class Rejected(NamedTuple):
    """A record that is no row of the table, and why, in words for its owner."""

    record: Record
    cause: str


class ParkedRecord(msgspec.Struct, frozen=True, array_like=True):
    """A rejected record as it is kept: where it lies in its topic, what it was, and its cause."""

    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    cause: str

    def age(self) -> tuple[int, int, int]:
        """What puts records of several partitions in order: higher is newer."""
        return self.timestamp, self.partition, self.offset


class UnreadableKey(msgspec.Struct, frozen=True, array_like=True):
    """A key whose newest record was rejected: where that lies, and why it is no row."""

    partition: int
    offset: int
    key: bytes
    cause: str


@dataclass(slots=True)
class Applied:
    """What a batch did to a table. The counts and `rejected` add up to its records.

    changed_keys has the encoded keys whose row is new, different or gone, each once,
    in the order of their first change. `repeated` counts records that lay before the
    stored position and were dropped, and what was rejected before and is read again.
    `fell` is the first revision that ever fell in this store, in the batch in which it did.
    """

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    stale: int = 0
    deleted: int = 0
    repeated: int = 0
    changed_keys: list[bytes] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    fell: Fell | None = None


class Opened(NamedTuple):
    """A store that was opened: where, and why it was emptied first, if it was."""

    path: Path
    partitions: tuple[int, ...]
    rebuilt: str | None
