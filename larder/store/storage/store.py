"""Reads and writes one RocksDB directory.

The only module that calls RocksDB. Knows keys and bytes, but no rows, records or topics.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from rocksdict import Options, Rdict, ReadOptions, WriteBatch, WriteOptions

from larder.declaring.problems import Problem
from larder.store.errors import NotHeldError, StoreCorruptedError, StoreError, translated
from larder.store.layout import after_prefix

# Called with the name of each step before it is taken. Only tests pass one, to end the
# process there.
FaultPoint = Callable[[str], None]

# A marker in a directory that was found damaged while reading: it is rebuilt when opened.
DAMAGED: Final = "DAMAGED"


def no_fault(step: str) -> None:
    """Do nothing at a step."""


class StoreBatch:
    """Changes that are written together or not at all."""

    def __init__(self) -> None:
        """Start empty."""
        self.writes = WriteBatch(raw_mode=True)
        self.put = self.writes.put
        self.delete = self.writes.delete
        self.delete_range = self.writes.delete_range


class _Cursor:
    """An iterator of RocksDB, which the store removes when it is closed."""

    def __init__(self, rows: Any, path: Path) -> None:
        """Take an iterator over the store of a directory."""
        self.rows = rows
        self._path = path

    def advance(self) -> None:
        """Go to the next key; raise NotHeldError once the store is closed."""
        if self.rows is None:
            raise NotHeldError(
                Problem(f"store {self._path}", "reading requires an open store", "that it was closed", "ask again"),
            )
        self.rows.next()


class Store:
    """An open store. Errors of RocksDB are raised as subclasses of `StoreError`."""

    def __init__(self, path: Path, db: Rdict, fault: FaultPoint = no_fault) -> None:
        """Take an open database; use `open_store`."""
        self.path = path
        self._db = db
        # Its type stubs leave out lists of bytes.
        self._read: Callable[[Any], Any] = db.get
        self._fault = fault
        self._logged, self._options = True, WriteOptions()
        self._cursors: set[_Cursor] = set()

    def get(self, key: bytes) -> bytes | None:
        """Read one value."""
        try:
            found: bytes | None = self._read(key)
        except Exception as error:
            raise self._failed(error) from error
        return found

    def get_many(self, keys: list[bytes]) -> list[bytes | None]:
        """Read values in the order of their keys, in one call."""
        try:
            found: list[bytes | None] = self._read(keys)
        except Exception as error:
            raise self._failed(error) from error
        return found

    def write(self, batch: StoreBatch) -> None:
        """Write a batch, which then survives the death of the process.

        The operating system has it, but the disk may not: a crash of the machine may go back to an earlier batch, with
        position and rows together. So may the death of the process between `write_unlogged` and `write_logged`.
        """
        self._fault("write")
        try:
            self._db.write(batch.writes, self._options)
        except Exception as error:
            raise self._failed(error) from error
        self._fault("written")

    def write_unlogged(self) -> None:
        """Write without the log from now on; the log takes a tenth of the time of a restore.

        What dies with the process, at most a memtable, is read from the topic again.
        """
        self._logged, self._options = False, WriteOptions()
        # An attribute, despite its type stubs.
        self._options.disable_wal = True  # type: ignore[method-assign, assignment]

    def write_logged(self) -> None:
        """Write with the log again, once everything that was written without it is in files.

        Otherwise the log could restore later writes without earlier ones.
        """
        if not self._logged:
            try:
                self._db.flush()
            except Exception as error:
                raise self._failed(error) from error
            self._logged, self._options = True, WriteOptions()

    def scan(self, first: bytes, end: bytes | None) -> Iterator[tuple[bytes, bytes]]:
        """Yield a snapshot of keys and values in order, from `first` to before `end`.

        An iterator does not return later writes. Raise NotHeldError if the store is closed meanwhile.
        """
        options = ReadOptions()
        if end is not None:
            options.set_iterate_upper_bound(end)
        cursor = _Cursor(self._db.iter(options), self.path)
        self._cursors.add(cursor)
        try:
            cursor.rows.seek(first)
            while cursor.rows.valid():
                yield cursor.rows.key(), cursor.rows.value()
                cursor.advance()
            cursor.rows.status()
        except (GeneratorExit, StoreError):
            raise
        except Exception as error:
            raise self._failed(error) from error
        finally:
            self._cursors.discard(cursor)

    def scan_prefix(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Return the keys with a prefix, and their values, in order."""
        return self.scan(prefix, after_prefix(prefix))

    def disk_bytes(self) -> int:
        """Return the size of the files with rows, and of the log, which has the rows that are in no other file yet."""
        return (self._db.property_int_value("rocksdb.total-sst-files-size") or 0) + sum(
            map(_size, self.path.glob("*.log"))
        )

    def close(self) -> None:
        """Release the directory. All writes persist, even if closing fails.

        Open iterators raise NotHeldError; RocksDB would keep the directory locked as long as one exists.
        """
        for cursor in self._cursors:
            cursor.rows = None
        self._cursors.clear()
        try:
            self._db.close()
        except Exception as error:
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> Exception:
        found = translated(error, self.path)
        if isinstance(found, StoreCorruptedError):
            # It is rebuilt when it is opened the next time, whatever is read then.
            try:
                (self.path / DAMAGED).touch()
            except OSError as unmarked:
                return translated(unmarked, self.path)
        return found


def _size(file: Path) -> int:
    """Return the size of a file; 0 for a log that was deleted meanwhile."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def connect(path: Path, options: Options, fault: FaultPoint) -> Store:
    """Open a directory, whatever is in it; create it if it is missing."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        # Also for the column family: on reopening, rocksdict takes the table options only from
        # there, and would fall back to a cache of 8 MB.
        db = Rdict(str(path), options, column_families={"default": options})
    except Exception as error:
        raise translated(error, path) from error
    return Store(path, db, fault)
