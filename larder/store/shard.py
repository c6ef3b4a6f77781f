"""A shard: the rows of a table that one store holds, of all partitions of a global table or of one.

Applies batches and looks up single keys. Knows one store, but no consumers, no other stores and no HTTP. Only the
thread of the worker's event loop uses it.
"""

from collections.abc import Callable, Sequence

import msgspec

from larder.declaring.records import Record
from larder.store.applying.plan import BatchPlan, plan
from larder.store.applying.revision_regressions import Fell
from larder.store.applying.writing import put_plan
from larder.store.layout import (
    FELL_KEY,
    HEADER_SIZE,
    ROW,
    Mark,
    Origin,
    origin,
    pack_mark,
    position_key,
    unpack_mark,
)
from larder.store.partition_state import State
from larder.store.records import Applied, Rejected
from larder.store.row_schema import Shape
from larder.store.storage.index_build import IndexBuild
from larder.store.storage.key_filter import Filling
from larder.store.storage.rejected_records import RejectionLog
from larder.store.storage.row_cache import HotRows
from larder.store.storage.served_before import forget, lost, remembered
from larder.store.storage.store import Store, StoreBatch
from larder.store.storage.sweeping import FullReads
from larder.store.storage.unreadable import UnreadableKeys


class Shard:
    """Rows of some partitions, in one store, with position and state for each."""

    def __init__(  # noqa: PLR0913  the store, what is in it, and two things of its table
        self,
        store: Store,
        shape: Shape,
        partitions: Sequence[int],
        hot: HotRows,
        clock: Callable[[], float],
        *,
        publishes: bool = False,
        remembers: bool = True,
    ) -> None:
        """Take over positions from the store; `clock` in seconds since 1970, `publishes` as for `RejectionLog`.

        With `remembers` deletions are remembered, so that a late older record does not bring a row back.
        """
        self.store = store
        self.shape = shape
        self.hot = hot
        self._clock = clock
        self._remembers = remembers
        self.indexes = IndexBuild(store, shape)
        self.rejected_records = RejectionLog(store, publishes=publishes)
        self.unreadable = UnreadableKeys(store)
        self.before = remembered(store.path)
        self.marks: dict[int, Mark] = {}
        self.states: dict[int, State] = {}
        self.reads = FullReads(store)
        self.fell = _fell(store)
        self._filling: Filling | None = None
        for partition in partitions:
            self.take(partition)

    def take(self, partition: int) -> None:
        """Add a partition, with its stored position."""
        mark = unpack_mark(self.store.get(position_key(partition)))
        state = State(self.shape.topic, partition)
        self.reads.take(partition)
        state.opened(mark.position, mark.at_end or None, sweeping=self.reads.under_way(partition))
        self.marks[partition], self.states[partition] = mark, state

    def catch_up(self, behind: int) -> None:
        """Write faster until `caught_up`: `behind` records follow, which can all be read again."""
        self.store.write_unlogged()
        if next(self.store.scan_prefix(ROW), None) is None:
            self._filling = Filling(behind)

    @property
    def lost(self) -> int:
        """The rows from before it was emptied that cannot be read any more, if they are too many; otherwise 0."""
        if self.before is None:
            return 0
        return lost(self.before, sum(mark.rows for mark in self.marks.values()), sum(self.unreadable.counts.values()))

    @property
    def at_end(self) -> float | None:
        """When all of its partitions had reached their ends, in s since 1970; None if one never has."""
        times = [state.at_end for state in self.states.values()]
        return min((at for at in times if at is not None), default=None) if None not in times else None

    def settle(self) -> None:
        """Accept the present rows, whatever was lost."""
        forget(self.store.path)
        self.before = None

    def caught_up(self) -> None:
        """Write as usual again."""
        self._filling = None
        self.store.write_logged()

    def apply(
        self,
        partition: int,
        records: Sequence[Record],
        next_position: int | None = None,
        misplaced: Sequence[Rejected] = (),
    ) -> Applied:
        """Apply records of one partition, in the order of their offsets, as one write.

        See `Table.apply`.
        """
        mark = self.marks[partition]
        fresh = _not_before(records, mark.position)
        elsewhere = [each for each in misplaced if each.record.offset >= mark.position]
        stored = self._stored([r.key for r in fresh if r.key is not None])
        planned = plan(fresh, stored, partition, self.shape, int(self._clock() * 1000))
        applied, unreadable = planned.applied, planned.applied.rejected
        rejected = sorted([*unreadable, *elsewhere], key=_offset) if elsewhere else unreadable
        applied.rejected = [each for each in rejected if not self.reads.was_read(partition, each.record.offset)]
        dropped = len(records) + len(misplaced) - len(fresh) - len(elsewhere)
        applied.repeated = dropped + len(rejected) - len(applied.rejected)
        applied.fell = None if self.fell else applied.fell
        ends = [each.record.offset + 1 for each in elsewhere[-1:]] + [each.offset + 1 for each in fresh[-1:]]
        position = max(mark.position, next_position or 0, *ends)
        if position > mark.position:
            after = Mark(position, self.states[partition].at_end or 0.0, mark.rows + applied.new - applied.deleted)
            batch = StoreBatch()
            self.reads.meet(batch, partition, fresh, rejected)
            counts = self.unreadable.add(batch, partition, fresh, unreadable)
            self._write(batch, partition, planned, stored, after)
            self.unreadable.counts = counts
            self.states[partition].applied(position, len(fresh) + len(elsewhere))
        return applied

    def keep_at_end(self, partition: int) -> None:
        """Store when the end was last reached, outside a batch of records."""
        at_end = self.states[partition].at_end
        mark = self.marks[partition]
        if at_end is None or at_end == mark.at_end:
            return
        batch = StoreBatch()
        after = mark._replace(at_end=at_end)
        batch.put(position_key(partition), pack_mark(after))
        self.store.write(batch)
        self.marks[partition] = after

    def close(self) -> None:
        """Store when the ends were last reached, and release the store in any case."""
        try:
            for partition in self.states:
                self.keep_at_end(partition)
        finally:
            self.store.close()
            for state in self.states.values():
                state.close()

    def stored(self, key: bytes) -> bytes | None:
        """Return header and JSON of a row; None if there is none or it was deleted."""
        found = self.store.get(ROW + key)
        return None if found is None or len(found) == HEADER_SIZE else found

    def raw(self, key: bytes) -> bytes | None:
        """Return the JSON of a row."""
        row = self.hot.get(key)
        if row is None and (found := self.stored(key)) is not None:
            row = found[HEADER_SIZE:]
            self.hot.put(key, row)
        return row

    def raw_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the JSON of rows in the order of their keys, None for a missing row."""
        rows = self.hot.get_many(keys)
        if None not in rows:
            self.hot.counts.hits += len(keys)
            return rows
        missing = [key for key, row in zip(keys, rows, strict=True) if row is None]
        self.hot.counts.hits += len(keys) - len(missing)
        self.hot.counts.misses += len(missing)
        found = self.store.get_many([ROW + key for key in missing])
        read = {
            key: stored[HEADER_SIZE:]
            for key, stored in zip(missing, found, strict=True)
            if stored is not None and len(stored) > HEADER_SIZE
        }
        if not read:
            return rows
        self.hot.put_many(read)
        return [read.get(key) if row is None else row for key, row in zip(keys, rows, strict=True)]

    def origin(self, key: bytes) -> tuple[bytes, Origin] | None:
        """Return the JSON of a row and where it comes from."""
        found = self.stored(key)
        return None if found is None else (found[HEADER_SIZE:], origin(found))

    def stored_many(self, keys: Sequence[bytes]) -> dict[bytes, bytes | None]:
        """Return header and JSON of what is stored under keys: rows, and remembered deletions."""
        return dict(zip(keys, self.store.get_many([ROW + key for key in keys]), strict=True))

    def revision(self, key: bytes) -> int | None:
        """Return the revision of a row, or of its deletion while that is remembered."""
        found = self.store.get(ROW + key)
        return None if found is None else origin(found).revision

    def _stored(self, keys: list[bytes]) -> dict[bytes, bytes | None]:
        """Return what the store has under keys; missing ones may be left out."""
        if self._filling is not None:
            keys = self._filling.add(keys)
        found = self.store.get_many([ROW + key for key in keys])
        return {} if found.count(None) == len(found) else dict(zip(keys, found, strict=True))

    def _write(
        self,
        batch: StoreBatch,
        partition: int,
        planned: BatchPlan,
        stored: dict[bytes, bytes | None],
        after: Mark,
    ) -> None:
        put_plan(batch, partition, planned, stored, self.shape, remembers=self._remembers)
        batch.put(position_key(partition), pack_mark(after))
        rejected = planned.applied.rejected
        kept = self.rejected_records.add(batch, partition, rejected) if rejected else self.rejected_records.kept
        if planned.applied.fell is not None:
            batch.put(FELL_KEY, msgspec.msgpack.encode(planned.applied.fell))
        self.store.write(batch)
        self.fell = self.fell or planned.applied.fell
        self.rejected_records.kept = kept
        self.marks[partition] = after
        self.hot.forget(planned.writes.keys())


def _fell(store: Store) -> Fell | None:
    stored = store.get(FELL_KEY)
    return None if stored is None else msgspec.msgpack.decode(stored, type=Fell)


def _offset(rejected: Rejected) -> int:
    return rejected.record.offset


def _not_before(records: Sequence[Record], position: int) -> Sequence[Record]:
    """Return the records that were not applied yet."""
    if not records or records[0].offset >= position:
        return records
    return [record for record in records if record.offset >= position]
