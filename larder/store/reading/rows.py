"""Reads a table: single rows, batches, ranges and indexes, over its open stores.

Returns rows as their owner's JSON, or typed. Knows the shards of one table, but no consumers and no HTTP.
"""

from collections.abc import Collection, Iterator, Sequence
from heapq import nlargest
from typing import Any, NamedTuple

from larder.declaring.rows import Row
from larder.store.layout import Origin
from larder.store.reading.lists import Found, by, by_steps, check_limit, scan, scan_steps
from larder.store.records import RejectedRecord
from larder.store.row_schema import Shape
from larder.store.shard import Shard


class TableSizes(NamedTuple):
    """The size of a table: rows (exact), kept rejected records, bytes of files without the log, bytes of hot rows."""

    rows: int
    rejected: int
    disk_bytes: int
    hot_bytes: int


class LocalRows:
    """The rows of one topic on this worker, of all partitions or some."""

    def __init__(self, shape: Shape) -> None:
        """Start without a store."""
        self._shape = shape
        self._open: list[Shard] = []

    def raw(self, key: bytes) -> bytes | None:
        """Return the JSON of the row with an encoded key, from any shard."""
        for shard in self._open:
            row = shard.raw(key)
            if row is not None:
                return row
        return None

    def raw_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the JSON of rows in the order of their keys, None for a missing row."""
        if len(self._open) == 1:
            return self._open[0].raw_many(keys)
        rows: list[bytes | None] = [None] * len(keys)
        for shard in self._open:
            missing = [at for at, row in enumerate(rows) if row is None]
            found = shard.raw_many([keys[at] for at in missing])
            for at, row in zip(missing, found, strict=True):
                rows[at] = row
        return rows

    def origin(self, key: bytes) -> tuple[bytes, Origin] | None:
        """Return the JSON of a row with its partition, offset, timestamp and revision."""
        found = (shard.origin(key) for shard in self._open)
        return next((row for row in found if row is not None), None)

    def get(self, key: Any) -> Row | None:
        """Return the row of a key; None if it is not here."""
        row = self.raw(self._shape.encode_key(key))
        return None if row is None else self._shape.decode(row)

    def many(self, keys: Sequence[Any]) -> list[Row | None]:
        """Return rows in the order of their keys, None for a row that is not here."""
        decode, encode = self._shape.decode, self._shape.encode_key
        rows = self.raw_many([encode(key) for key in keys])
        return [None if row is None else decode(row) for row in rows]

    def scan(self, *, prefix: Any = None, from_: Any = None, to: Any = None, limit: int) -> Iterator[Row]:
        """Return rows in the order of their keys, over all partitions on this worker.

        Keys begin with `prefix` (text; bytes for keys of bytes), are at least `from_`, and below `to`. Raises
        LimitError unless the limit is from 1 to 10,000.
        """
        return self._typed(self.found(prefix=prefix, from_=from_, to=to, limit=limit))

    def by(self, index: str, value: Any, *, limit: int, from_: Any = None) -> Iterator[Row]:
        """Return the rows with a value in an index field, in the order of their keys.

        Start at the key `from_`. Raise NoSuchIndexError, and IndexBuildingError while a new index is not complete.
        """
        return self._typed(self.found_by(index, value, limit=limit, from_=from_))

    def found(self, *, prefix: Any = None, from_: Any = None, to: Any = None, limit: int) -> Iterator[Found]:
        """Return the rows of `scan` as keys, JSON and origins."""
        return scan(self._open, self._shape, prefix, from_, to, limit)

    def found_by(self, index: str, value: Any, *, limit: int, from_: Any = None) -> Iterator[Found]:
        """Return the rows of `by` as keys, JSON and origins."""
        return by(self._open, self._shape, index, value, limit, from_)

    def steps(
        self,
        partitions: Collection[int],
        *,
        prefix: Any = None,
        from_: Any = None,
        to: Any = None,
        after: bytes | None = None,
    ) -> Iterator[Found | None]:
        """Return the rows of `found` for some partitions, without a limit: see `scan_steps`."""
        steps = scan_steps(self._having(partitions), self._shape, prefix, from_, to, after)
        return _only(steps, frozenset(partitions))

    def steps_by(
        self, partitions: Collection[int], index: str, value: Any, *, from_: Any = None, after: bytes | None = None
    ) -> Iterator[Found | None]:
        """Return the rows of `found_by` for some partitions, without a limit: see `scan_steps`."""
        return _only(by_steps(self._having(partitions), self._shape, index, value, from_, after), frozenset(partitions))

    def _having(self, partitions: Collection[int]) -> list[Shard]:
        return [shard for shard in self._open if not shard.states.keys().isdisjoint(partitions)]

    @property
    def building(self) -> list[str]:
        """The indexes that are not complete in every store."""
        return sorted({index for shard in self._open for index in shard.indexes.building})

    def sizes(self) -> TableSizes:
        """Return the size of the stored rows."""
        return TableSizes(
            rows=sum(mark.rows for shard in self._open for mark in shard.marks.values()),
            rejected=sum(shard.rejected_records.count for shard in self._open),
            disk_bytes=sum(shard.store.disk_bytes() for shard in self._open),
            hot_bytes=sum(shard.hot.used_bytes for shard in self._open),
        )

    def rejected(self, limit: int) -> list[RejectedRecord]:
        """Return rejected records with their causes, the newest first.

        Each store keeps the newest 10,000, up to 64 MiB. Raise LimitError unless the limit is from 1 to 10,000.
        """
        check_limit(self._shape, limit)
        newest = (record for shard in self._open for record in shard.rejected_records.newest(limit))
        return nlargest(limit, newest, key=RejectedRecord.age)

    def _typed(self, rows: Iterator[Found]) -> Iterator[Row]:
        decode = self._shape.decode
        return (decode(row.json) for row in rows)


def _only(steps: Iterator[Found | None], partitions: Collection[int]) -> Iterator[Found | None]:
    """Leave out rows of other partitions; the store of a global table has all of them."""
    return (None if step is not None and step.origin.partition not in partitions else step for step in steps)
