"""A table as its users (joins, decides, owned rows) access it while they handle one partition of an input."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice

from larder.declaring.problems import Problem
from larder.kafka.batch_consumer import ObservedEnd
from larder.local_tables.end_tracker import EndTracker
from larder.local_tables.lost_rows import LostRows
from larder.local_tables.role import TableRole
from larder.store.layout import HEADER_SIZE, ROW
from larder.store.partition_state import State
from larder.store.shard import Shard
from larder.store.table import Table

SLICE_ENTRIES = 500
"""Entries of a store that are read and decoded before the loop yields: some two milliseconds."""


class PartitionView:
    """The same partition of a co-partitioned table; all of a global table.

    While this worker does not have that partition, nothing is open, and the view is not caught up.
    """

    def __init__(self, partition: int, stored: Table, role: TableRole, ends: EndTracker, losses: LostRows) -> None:
        self.partition = partition
        self._stored = stored
        self._role = role
        self._ends = ends
        self._losses = losses

    @property
    def states(self) -> Collection[State]:
        """The states of the open partitions that belong to it."""
        if self._stored.held == "global":
            return [self._stored.state(each) for each in self._stored.partitions]
        return [self._stored.state(self.partition)] if self._is_open else []

    def is_read(self) -> bool:
        """Return whether the table is read to the end of its topic, by a recent report."""
        return self._ends.are_read(self.states)

    def lost(self) -> Problem | None:
        """Return why its users are held back: its store was rebuilt, and lost too many rows. None if not."""
        return self._losses.of(self._shards()) if self.is_read() else None

    def caught_up(self) -> bool:
        """Return whether all rows are there, and readable if the table needs each row."""
        if not self.is_read() or self._losses.hold_back(self._shards()):
            return False
        return not (self._role.needs_each_row and self.unreadable())

    def unreadable(self) -> int:
        """Return for how many keys of the partition the newest record is not a row; 0 if it is not open."""
        return self._shard.unreadable.counts.get(self.partition, 0) if self._is_open else 0

    def ends(self) -> Mapping[int, ObservedEnd]:
        """Return the known ends of its partitions; an unknown one counts as reported at time 0."""
        return self._ends.of(self.states)

    def has_passed(self, ends: Mapping[int, ObservedEnd]) -> bool:
        """Return whether the table is at or past `ends`; a partition that is no longer open is not."""
        return self._ends.are_passed(ends)

    def raw(self, key: bytes) -> bytes | None:
        """Return the JSON of a row."""
        return self._rows.raw(key)

    def raw_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the JSON of rows in the order of their keys, None for a missing row."""
        return self._rows.raw_many(keys)

    def revision(self, key: bytes) -> int | None:
        """Return the revision of a row, or of a remembered deletion."""
        return self._shard.revision(key)

    def offset(self, key: bytes) -> int:
        """Return the offset of a key's row in the topic; raise LookupError if there is none."""
        found = self._shard.origin(key)
        if found is None:
            raise LookupError(key)
        return found[1].offset

    def position(self) -> int:
        """Return the next offset to read of the partition."""
        return self._stored.position(self.partition)

    def slices(self) -> Iterator[list[bytes]]:
        """Yield the JSON of all present rows of the partition's store, a slice at a time."""
        entries = self._shard.store.scan_prefix(ROW)
        while some := list(islice(entries, SLICE_ENTRIES)):
            yield [stored[HEADER_SIZE:] for _, stored in some if len(stored) > HEADER_SIZE]

    @property
    def _is_open(self) -> bool:
        return self._stored.is_open(self.partition)

    @property
    def _rows(self) -> Table | Shard:
        return self._stored if self._stored.held == "global" else self._shard

    @property
    def _shard(self) -> Shard:
        return self._stored.shard(self.partition)

    def _shards(self) -> Collection[Shard]:
        open_ = self._stored.partitions
        if self._stored.held == "global":
            return [self._stored.shard(open_[0])] if open_ else []
        return [self._shard] if self._is_open else []
