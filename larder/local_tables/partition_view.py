"""A table as its users see it while they handle the records of one partition of an input: joins, decides, own rows."""

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
"""Entries of a store that are read and decoded before control is given back: some two milliseconds."""


class PartitionView:
    """Of a co-partitioned table, the partition of the same number; of a global table, all of it.

    Nothing of it is open, and it is not caught up, while this worker does not have that partition.
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
        """Whether all that the topic has was read, by an end that was reported just now."""
        return self._ends.are_read(self.states)

    def lost(self) -> Problem | None:
        """Why its users are held back: a store was emptied, and lost too many of its rows; None if none did."""
        return self._losses.of(self._shards()) if self.is_read() else None

    def caught_up(self) -> bool:
        """Whether all rows are there, and each of them can be read where each is needed."""
        if not self.is_read() or self._losses.hold_back(self._shards()):
            return False
        return not (self._role.needs_each_row and self.unreadable())

    def unreadable(self) -> int:
        """How many keys of the partition have a newest record that is no row; 0 where it is not open."""
        return self._shard.unreadable.counts.get(self.partition, 0) if self._is_open else 0

    def ends(self) -> Mapping[int, ObservedEnd]:
        """The ends of its partitions as they are known now; an unknown one counts as reported at time 0."""
        return self._ends.of(self.states)

    def has_passed(self, ends: Mapping[int, ObservedEnd]) -> bool:
        """Whether the table is at or past `ends`; a partition that is not open any more has passed nothing."""
        return self._ends.are_passed(ends)

    def raw(self, key: bytes) -> bytes | None:
        """The JSON of a row."""
        return self._rows.raw(key)

    def raw_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The JSON of rows in the order of their keys, None where there is none."""
        return self._rows.raw_many(keys)

    def revision(self, key: bytes) -> int | None:
        """The revision of a row, or of its deletion while that is remembered."""
        return self._shard.revision(key)

    def offset(self, key: bytes) -> int:
        """Where the row of a key lies in the topic; LookupError where there is none."""
        found = self._shard.origin(key)
        if found is None:
            raise LookupError(key)
        return found[1].offset

    def position(self) -> int:
        """The next offset to read of the partition."""
        return self._stored.position(self.partition)

    def slices(self) -> Iterator[list[bytes]]:
        """The JSON of all rows of the partition's store as they are now, a slice at a time."""
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
