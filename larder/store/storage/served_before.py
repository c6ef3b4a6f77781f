"""How many rows a store had before it was emptied, until its topic was read again and they are known to be there.

Kept in a file beside the store, since the store is removed: it is written before that, and so survives whatever ends
the process meanwhile. It knows one store, and may not know rows or consumers.
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
"""At most one row of so many may be lost without anybody having said so."""


class ServedBefore(msgspec.Struct, frozen=True):
    """`rows` None: nobody knows, as for a store that is new; `unreadable` keys had a newest record that was no row."""

    rows: int | None = None
    unreadable: int = 0


UNKNOWN: Final = ServedBefore()


def lost(before: ServedBefore, rows: int, unreadable: int) -> int:
    """Give how many rows cannot be read any more, where they are too many; otherwise 0.

    What the topic has deleted since then is not lost. Where nobody knows what there was, it is most of what there is.
    """
    if before.rows is None:
        return unreadable if unreadable > rows else 0
    gone = min(unreadable, max(before.rows - rows, unreadable - before.unreadable))
    gone = min(gone, before.rows)
    return gone if gone * SHARE > before.rows else 0


def counted(store: Store) -> ServedBefore:
    """Count what a store has, whatever its declaration."""
    try:
        rows = sum(unpack_mark(mark).rows for _, mark in store.scan_prefix(POSITION))
        stored = store.get(UNREADABLE_KEY)
        unreadable = {} if stored is None else msgspec.msgpack.decode(stored, type=dict[int, int])
    except (struct.error, msgspec.MsgspecError):
        return UNKNOWN
    return ServedBefore(rows, sum(unreadable.values()))


def remembered(path: Path) -> ServedBefore | None:
    """Read what is kept beside the store of a directory; None where nothing is in question."""
    try:
        return msgspec.json.decode(_beside(path).read_bytes(), type=ServedBefore)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError:
        return UNKNOWN


def remember(path: Path, before: ServedBefore) -> None:
    """Keep it, unless more rows are in question already; StoreFullError where there is no room for it."""
    known = remembered(path)
    if known is None or known.rows is None or (before.rows or 0) > known.rows:
        _write(path, before)


def forget(path: Path) -> None:
    """Say that nothing is in question any more."""
    _beside(path).unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    return path.with_name(path.name + ".before")


def _write(path: Path, before: ServedBefore) -> None:
    beside = _beside(path)
    new = beside.with_suffix(".new")
    try:
        beside.parent.mkdir(parents=True, exist_ok=True)
        with new.open("wb") as file:
            file.write(msgspec.json.encode(before))
            file.flush()
            os.fsync(file.fileno())
        new.replace(beside)
    except OSError as error:
        raise translated(error, path) from error
