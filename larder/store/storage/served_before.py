"""Remembers how many rows a store had before it was emptied, until its topic has been read again.

The file is next to the directory of the store, and is written before that is removed, so that it survives the end of
the process. Knows one store, but no rows and no consumers.
"""

import os
import struct
from pathlib import Path
from typing import Final

import msgspec

from larder.store.errors import translated
from larder.store.layout import POSITION, UNREADABLE_KEY, unpack_mark
from larder.store.storage.store import Store

SHARE: Final = 10
"""One row in this many may be lost without the user's consent."""


class ServedBefore(msgspec.Struct, frozen=True):
    """The rows that a store had, None if unknown as for a new store, and its keys whose newest record was not a row."""

    rows: int | None = None
    unreadable: int = 0


UNKNOWN: Final = ServedBefore()


def lost(before: ServedBefore, rows: int, unreadable: int) -> int:
    """Return the number of rows that cannot be read any more, if they are too many; otherwise 0.

    Rows that were deleted from the topic since are not lost. If the former number is unknown, most of the present rows
    have to be readable.
    """
    if before.rows is None:
        return unreadable if unreadable > rows else 0
    missing = min(unreadable, max(before.rows - rows, unreadable - before.unreadable))
    missing = min(missing, before.rows)
    return missing if missing * SHARE > before.rows else 0


def counted(store: Store) -> ServedBefore:
    """Count the rows of a store, whatever its declaration."""
    try:
        rows = sum(unpack_mark(mark).rows for _, mark in store.scan_prefix(POSITION))
        stored = store.get(UNREADABLE_KEY)
        unreadable = {} if stored is None else msgspec.msgpack.decode(stored, type=dict[int, int])
    except (struct.error, msgspec.MsgspecError):
        return UNKNOWN
    return ServedBefore(rows, sum(unreadable.values()))


def remembered(path: Path) -> ServedBefore | None:
    """Read the file of the store of a directory; return None if there is none."""
    try:
        return msgspec.json.decode(_file_of(path).read_bytes(), type=ServedBefore)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError:
        return UNKNOWN


def remember(path: Path, before: ServedBefore) -> None:
    """Write the file, unless one has more rows already; raise StoreFullError."""
    known = remembered(path)
    if known is None or known.rows is None or (before.rows or 0) > known.rows:
        _write(path, before)


def forget(path: Path) -> None:
    """Remove the file: all rows are accounted for."""
    _file_of(path).unlink(missing_ok=True)


def _file_of(path: Path) -> Path:
    return path.with_name(path.name + ".before")


def _write(path: Path, before: ServedBefore) -> None:
    target = _file_of(path)
    new = target.with_suffix(".new")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with new.open("wb") as file:
            file.write(msgspec.json.encode(before))
            file.flush()
            os.fsync(file.fileno())
        new.replace(target)
    except OSError as error:
        raise translated(error, path) from error
