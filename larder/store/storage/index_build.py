"""Builds new indexes of a store in slices, and drops old ones.

An index that is declared later is built from the existing rows while batches are applied. A batch writes the entries
of its own rows, the build those of all others; if both write one, it is the same. The progress is stored with each
slice, so that a restart continues there. An index that is no longer declared is dropped by one range deletion,
whatever its size.

Knows one store, but no consumers and no other stores.
"""

from itertools import islice
from typing import Final

from larder.store.applying.indexes import entry
from larder.store.layout import HEADER_SIZE, INDEX_KEY, ROW, after_prefix, entry_prefix
from larder.store.row_schema import Shape
from larder.store.storage.store import Store, StoreBatch

# The stored progress of an index: complete, or the last row key with an entry.
_READY: Final = b"1"
_BUILDING: Final = b"0"


class IndexBuild:
    """The declared indexes of one store."""

    def __init__(self, store: Store, shape: Shape) -> None:
        """Read the progress of indexes, begin new ones, and drop those that are no longer declared."""
        self._store = store
        self._shape = shape
        known = {key[len(INDEX_KEY) :].decode(): value for key, value in store.scan_prefix(INDEX_KEY)}
        empty = next(store.scan_prefix(ROW), None) is None
        begun = {index: _READY if empty else _BUILDING for index in shape.indexes if index not in known}
        self._write_differences(begun, [index for index in known if index not in shape.indexes])
        self._cursors: dict[str, bytes] = {
            index: progress[1:]
            for index, progress in (known | begun).items()
            if index in shape.indexes and progress != _READY
        }

    @property
    def building(self) -> list[str]:
        """The incomplete indexes, in the order in which they are built."""
        return list(self._cursors)

    def step(self, max_rows: int) -> bool:
        """Add the entries of the next rows to the first incomplete index; return whether there is more.

        Reads up to `max_rows` rows and deletions, about 2 us each.
        """
        if not self._cursors:
            return False
        index, cursor = next(iter(self._cursors.items()))
        # The next key is greater than the cursor, or has it as a prefix.
        first = ROW + cursor + b"\0" if cursor else ROW
        rows = islice(self._store.scan(first, after_prefix(ROW)), max_rows)
        batch, seen = StoreBatch(), 0
        for at, stored in rows:
            seen += 1
            cursor = at[1:]
            if len(stored) > HEADER_SIZE:
                row = self._shape.decode(stored[HEADER_SIZE:])
                batch.put(entry(index, getattr(row, index), cursor), b"")
        done = seen < max_rows
        batch.put(INDEX_KEY + index.encode(), _READY if done else _BUILDING + cursor)
        self._store.write(batch)
        if done:
            del self._cursors[index]
        else:
            self._cursors[index] = cursor
        return bool(self._cursors)

    def _write_differences(self, begun: dict[str, bytes], dropped: list[str]) -> None:
        if not begun and not dropped:
            return
        batch = StoreBatch()
        for index, progress in begun.items():
            batch.put(INDEX_KEY + index.encode(), progress)
        for index in dropped:
            prefix = entry_prefix(index)
            batch.delete_range(prefix, after_prefix(prefix) or prefix)
            batch.delete(INDEX_KEY + index.encode())
        self._store.write(batch)
