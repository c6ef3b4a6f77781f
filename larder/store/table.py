"""A table: the rows of one owner topic in this process, over all of its stores.

Workers open its partitions, apply batches to it and read it. Knows its shards, but no consumers, no joins and no HTTP.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from itertools import chain
from pathlib import Path
from typing import Final, Literal

from larder.clock import now
from larder.declaring.problems import Problem
from larder.declaring.records import Record
from larder.declaring.topics import OwnerTopic
from larder.store.applying.rereading import reached_end, read_again, sweep
from larder.store.applying.revision_regressions import Fell
from larder.store.errors import NotHeldError, StoreCorruptedError, StoreError
from larder.store.layout import HEADER_SIZE, FullRead, origin
from larder.store.partition_state import State
from larder.store.reading.rows import LocalRows
from larder.store.records import Applied, Latest, Opened, Rejected
from larder.store.row_schema import shape
from larder.store.shard import Shard
from larder.store.storage.deletion_expiry import TOMBSTONE_RETENTION, forget
from larder.store.storage.identity import identity
from larder.store.storage.memory import Memory
from larder.store.storage.opening import discard, open_store
from larder.store.storage.row_cache import HotCounts, HotRows
from larder.store.storage.served_before import counted, remember
from larder.store.storage.store import FaultPoint, no_fault

Held = Literal["global", "partition"]

# How outdated the stored time at which the end was last reached may be, in seconds. It is
# compared with retentions of hours; writing it with each fetch would keep the disk of an
# idle worker busy.
_AT_END_EVERY: Final = 30.0


class Table(LocalRows):
    """The local rows of one topic.

    Stores are `<directory>/<topic>/global`, or `<directory>/<topic>/<partition>`. All
    methods are synchronous and belong to one thread; callers bound the size of batches.
    """

    def __init__(  # noqa: PLR0913  two of them are for tests and for unusual topics
        self,
        topic: OwnerTopic,
        directory: Path,
        memory: Memory,
        held: Held,
        clock: Callable[[], float] = now,
        *,
        tombstone_retention: timedelta = TOMBSTONE_RETENTION,
        fault: FaultPoint = no_fault,
    ) -> None:
        """Prepare without opening anything. `clock` returns seconds since 1970.

        With a `tombstone_retention` of zero deletions are not remembered. That is correct if a single writer
        publishes each record once, in order, so that no late older record can arrive.
        """
        self.topic = topic
        self.held = held
        self.directory = directory / topic.name
        self._memory = memory
        self._clock = clock
        self._retention = tombstone_retention
        self._fault = fault
        super().__init__(shape(topic))
        self._shards: dict[int, Shard] = {}
        self.hot_counts = HotCounts()

    def open(
        self,
        partitions: int | Iterable[int],
        topic_id: str | None,
    ) -> list[Opened]:
        """Open the stores of partitions; open ones stay open.

        A global table is opened with all partitions of its topic at once. `topic_id` is None without a broker; the
        id in the store is kept then. Each `Opened` says why its store was emptied first, if it was. Raises
        StoreHeldError, StoreRefusedError and StoreFullError; stores that were opened before stay open.
        """
        wanted = (partitions,) if isinstance(partitions, int) else tuple(partitions)
        if self.held == "global" and not self._open:
            return [self._open_shard("global", wanted, topic_id)]
        if self.held == "global":
            self._take(self._open[0], [number for number in wanted if number not in self._shards])
            return []
        return [
            self._open_shard(str(partition), (partition,), topic_id)
            for partition in wanted
            if partition not in self._shards
        ]

    def close(self, partition: int | None = None) -> None:
        """Close the store of a partition, or all stores; closed ones stay closed."""
        if partition is None or self.held == "global":
            closing = list(self._open)
        else:
            closing = [self._shards[partition]] if partition in self._shards else []
        for shard in closing:
            self._open.remove(shard)
            for number in shard.states:
                del self._shards[number]
            shard.close()
        self._share_memory()

    @property
    def partitions(self) -> list[int]:
        """The open partitions, in order."""
        return sorted(self._shards)

    def is_open(self, partition: int) -> bool:
        """Return whether the store of a partition is open."""
        return partition in self._shards

    def state(self, partition: int) -> State:
        """Return the state of an open partition; raise NotHeldError for any other."""
        return self.shard(partition).states[partition]

    def position(self, partition: int) -> int:
        """Return the next offset to read; 0 for a new store."""
        return self.shard(partition).marks[partition].position

    def apply(
        self,
        partition: int,
        records: Sequence[Record],
        next_position: int | None = None,
        misplaced: Sequence[Rejected] = (),
    ) -> Applied:
        """Apply records of one partition, in the order of their offsets, as one write.

        Has the effect of applying them one by one; rows, index entries and position are stored together or not
        at all. `next_position` is the consumer's next offset, if there is a gap (of compaction or transactions)
        behind the last record. Bad records do not stop the others; they are in the result, and kept for
        `rejected`. `misplaced` has the records among them that do not belong to this partition, with their
        causes: they are rejected. After StoreFullError nothing has changed.
        """
        return self.shard(partition).apply(partition, records, next_position, misplaced)

    def observe(self, partition: int, end: int, fetched_at: float) -> None:
        """Report a fetched end of a partition: see `State.observe`."""
        shard = self.shard(partition)
        state = shard.states[partition]
        state.observe(end, fetched_at)
        if (state.at_end or 0.0) - shard.marks[partition].at_end > _AT_END_EVERY:
            shard.keep_at_end(partition)

    def read_again(self, partition: int, first: int, now: float) -> None:
        """Read a partition from the start of its log again, over the existing rows: see `rereading`."""
        read_again(self.shard(partition), partition, first, now)

    def last_full_read(self, partition: int) -> FullRead | None:
        """Return the last full read of a partition; None if there was none."""
        return self.shard(partition).reads.of(partition)

    def reached_end(self, partition: int) -> None:
        """Report that a full read has reached the end: see `rereading`."""
        reached_end(self.shard(partition), partition)

    def sweep(self, max_rows: int) -> list[bytes] | None:
        """Check the next `max_rows` of each open store, and remove those that a full read did not find.

        Return their keys, or None if there is nothing left to check.
        """
        swept = [keys for shard in self._open if (keys := sweep(shard, max_rows)) is not None]
        return list(chain.from_iterable(swept)) if swept else None

    @property
    def fell(self) -> Fell | None:
        """The first revision that fell since the rows were first read; if there is one, copies may differ."""
        return next((shard.fell for shard in self._open if shard.fell is not None), None)

    def latest(self, partition: int, keys: Sequence[bytes]) -> list[Latest]:
        """Return rows and remembered deletions of a partition, in the order of their last change."""
        stored = self.shard(partition).stored_many(keys)
        found = [Latest(key, row[HEADER_SIZE:] or None, origin(row)) for key, row in stored.items() if row is not None]
        return sorted(found, key=lambda each: each.origin.offset)

    def maintain(self, max_rows: int) -> bool:
        """Do a slice of maintenance; return whether there is more.

        Builds new indexes, and forgets old deletions: about 2 us for each of `max_rows`, in each open store.
        """
        more = False
        for shard in self._open:
            more = shard.indexes.step(max_rows) or more
            if (at_end := shard.at_end) is not None:
                checked = forget(shard.store, shard.marks, min(at_end, self._clock()), self._retention, max_rows)
                more = checked > 0 or more
        return more

    def discard(self, partition: int) -> None:
        """Close and remove the store of a partition, which is then read from 0 again.

        For a position that the topic no longer has. A global table loses all of its partitions, since its store does
        not separate the rows of one partition from the others.
        """
        store = self.shard(partition).store
        path = store.path
        remember(path, counted(store))
        self.close(partition)
        discard(path)

    def _open_shard(
        self,
        name: str,
        partitions: tuple[int, ...],
        topic_id: str | None,
    ) -> Opened:
        path = self.directory / name
        expected = identity(self.topic, topic_id, name)
        store, rebuilt = open_store(path, self._memory, expected, self._fault)
        try:
            hot, publishes = HotRows(0, self.hot_counts), self.held == "partition"
            shard = Shard(
                store, self._shape, partitions, hot, self._clock, publishes=publishes, remembers=bool(self._retention)
            )
        except StoreError as error:
            store.close()
            if not isinstance(error, StoreCorruptedError) or rebuilt is not None:
                raise
            # It has been marked as damaged, and is rebuilt now.
            return self._open_shard(name, partitions, topic_id)
        self._open.append(shard)
        self._shards.update(dict.fromkeys(partitions, shard))
        self._share_memory()
        return Opened(path, partitions, rebuilt)

    def _take(self, shard: Shard, added: Sequence[int]) -> None:
        """Add partitions that the topic has got meanwhile."""
        for partition in added:
            shard.take(partition)
            self._shards[partition] = shard

    def _share_memory(self) -> None:
        for shard in self._open:
            shard.hot.resize(self._memory.hot_row_bytes // len(self._open))

    def shard(self, partition: int) -> Shard:
        """Return the shard of a partition; raise NotHeldError if it is not open."""
        shard = self._shards.get(partition)
        if shard is None:
            table = f"table {self.topic.name}"
            raise NotHeldError(
                Problem(
                    table,
                    "a partition must be open on this worker",
                    f"partition {partition}, with {self.partitions} open",
                    "open it first, or ask the worker that has it",
                ),
            )
        return shard
