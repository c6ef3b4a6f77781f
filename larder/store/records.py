"""The results of a table's operations, as plain values. Knows no bytes on disk and no RocksDB."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import msgspec

from larder.declaring.records import Record
from larder.store.applying.revision_regressions import Fell
from larder.store.layout import Origin


class Latest(NamedTuple):
    """The latest state of a key: the JSON of its row, or None for a deletion, and its origin."""

    key: bytes
    json: bytes | None
    origin: Origin


class Rejected(NamedTuple):
    """A record that is not a row of the table, and the cause, for its owner."""

    record: Record
    cause: str


class RejectedRecord(msgspec.Struct, frozen=True, array_like=True):
    """A rejected record as it is kept: its coordinates, its content and the cause."""

    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    cause: str

    def age(self) -> tuple[int, int, int]:
        """The order of records of several partitions: higher is newer."""
        return self.timestamp, self.partition, self.offset


class UnreadableKey(msgspec.Struct, frozen=True, array_like=True):
    """A key whose newest record was rejected: the offset of that record, and the cause."""

    partition: int
    offset: int
    key: bytes
    cause: str


@dataclass(slots=True)
class Applied:
    """The outcome of a batch. The counts and `rejected` add up to its records.

    `changed_keys` has the encoded keys of new, changed and deleted rows, without duplicates, in the order of their
    first change. `repeated` counts records that were dropped since they were before the stored position, and rejected
    records that are read again. `fell` is the first revision that ever fell in this store, if it is in this batch.
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
    """An opened store: its directory, and why it was emptied first, if it was."""

    path: Path
    partitions: tuple[int, ...]
    rebuilt: str | None
