"""One RocksDB directory: read and written.

The only module that calls RocksDB to do something. It knows keys and bytes, and may
not know rows, records or topics' meaning.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from rocksdict import Options, Rdict, ReadOptions, WriteBatch, WriteOptions

from larder.declaring.problems import Problem
from larder.store.errors import NotHeldError, StoreCorruptedError, StoreError, translated
from larder.store.layout import after_prefix

# Called with the name of a step before it is taken. Only tests pass one, to end the
# process there.
FaultPoint = Callable[[str], None]

# Left in a directory whose damage was found while reading: rebuilt at next opening.
DAMAGED: Final = "DAMAGED"


def no_fault(step: str) -> None:
    """Let every step be taken."""


class StoreBatch:
    """What is written together or not at all."""

    def __init__(self) -> None:
        """Start without letters."""
        self.writes = WriteBatch(raw_mode=True)
        self.put = self.writes.put
        self.delete = self.writes.delete
        self.delete_range = self.writes.delete_range


class _Cursor:
    """RocksDB's iterator, which the store takes away when it is closed."""

    def __init__(self, rows: Any, path: Path) -> None:
        """Take an iterator over the store of a directory."""
        self.rows = rows
        self._path = path

    def advance(self) -> None:
        """Go to the next key; NotHeldError when the iterator was taken away."""
        if self.rows is None:
            raise NotHeldError(
                Problem(f"store {self._path}", "reading requires an open store", "that it was closed", "ask again"),
            )
        self.rows.next()


class Store:
    """An open store. Errors of RocksDB arrive as subclasses of `StoreError`."""

    def __init__(self, path: Path, db: Rdict, fault: FaultPoint = no_fault) -> None:
        """Take an open database; use `open_store`."""
        self.path = path
        self._db = db
        # Its types leave out lists of bytes.
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
        """Write a batch; when this returns, the death of the process does not undo it.

        It is in the log of the operating system, not yet on the disk: the death of the
        machine may go back to an earlier batch, with position and rows together. So may
        the death of the process between `write_unlogged` and `write_logged`.
        """
        self._fault("write")
        try:
            self._db.write(batch.writes, self._options)
        except Exception as error:
            raise self._failed(error) from error
        self._fault("written")

    def write_unlogged(self) -> None:
        """From here on write without the log, which costs a restore a tenth of its time.

        What is lost with the process is read from the topic again: at most a memtable.
        """
        self._logged, self._options = False, WriteOptions()
        # An attribute, whatever its types say.
        self._options.disable_wal = True  # type: ignore[method-assign, assignment]

    def write_logged(self) -> None:
        """Write with the log again, after all that was written without it is in files.

        Otherwise the log could bring back what came later without what came before.
        """
        if not self._logged:
            try:
                self._db.flush()
            except Exception as error:
                raise self._failed(error) from error
            self._logged, self._options = True, WriteOptions()

    def scan(self, first: bytes, end: bytes | None) -> Iterator[tuple[bytes, bytes]]:
        """Give keys and values in order, from `first` to before `end`, as of now.

        Writes that come later are not seen by an iterator that has begun. NotHeldError
        when the store is closed meanwhile.
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
        """Give the keys that begin with the prefix, and their values, in order."""
        return self.scan(prefix, after_prefix(prefix))

    def disk_bytes(self) -> int:
        """Give the size of the files that hold rows, and of the log, which has those that are in no other file yet."""
        return (self._db.property_int_value("rocksdb.total-sst-files-size") or 0) + sum(
            map(_size, self.path.glob("*.log"))
        )

    def close(self) -> None:
        """Release the directory. What was written stays, even when closing fails.

        Iterators that somebody still has end with NotHeldError: RocksDB would keep the
        directory locked for as long as one is there.
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
            # At its next opening it is rebuilt, whatever part of it is read then.
            try:
                (self.path / DAMAGED).touch()
            except OSError as unmarked:
                return translated(unmarked, self.path)
        return found


def _size(file: Path) -> int:
    """Give the size of a file; 0 for a log that was deleted meanwhile."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def connect(path: Path, options: Options, fault: FaultPoint) -> Store:
    """Open a directory, whatever is in it; it is made when it is not there."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        # Given for the column family too: on reopening, rocksdict takes the table
        # options from there only, and would fall back to a cache of 8 MB.
        db = Rdict(str(path), options, column_families={"default": options})
    except Exception as error:
        raise translated(error, path) from error
    return Store(path, db, fault)
