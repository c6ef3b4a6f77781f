"""Index entries that changes of rows add and remove.

An entry is a key without a value: index, the field's value, the row's key. Pure; does not know RocksDB. `index_build`
builds an index from stored rows.
"""

from collections.abc import Mapping
from typing import NamedTuple

from larder.declaring.rows import Row
from larder.store.applying.plan import BatchPlan
from larder.store.layout import HEADER_SIZE, entry_prefix
from larder.store.row_schema import Shape
from larder.store.values import encoded


class Entries(NamedTuple):
    """The keys of entries to remove and to write."""

    gone: list[bytes]
    new: list[bytes]


def changed_entries(
    plan: BatchPlan,
    stored: Mapping[bytes, bytes | None],
    shape: Shape,
) -> Entries:
    """Return the changes of entries that a plan makes to those of the stored rows."""
    entries = Entries([], [])
    if not shape.indexes:
        return entries
    prefixes = [entry_prefix(index) for index in shape.indexes]
    for key in plan.writes:
        before = _live(stored.get(key), shape)
        new = _entries(plan.rows.get(key), key, prefixes, shape)
        if before is None:
            entries.new.extend(new)
            continue
        old = _entries(before, key, prefixes, shape)
        entries.gone.extend(entry for entry in old if entry not in new)
        entries.new.extend(entry for entry in new if entry not in old)
    return entries


def entries(stored: bytes, key: bytes, shape: Shape) -> list[bytes]:
    """Return the keys of the entries of a stored row."""
    return _entries(_live(stored, shape), key, [entry_prefix(index) for index in shape.indexes], shape)


def entry(index: str, value: object, key: bytes) -> bytes:
    """Return the key of one entry."""
    return entry_prefix(index) + encoded(value) + key


def _entries(row: Row | None, key: bytes, prefixes: list[bytes], shape: Shape) -> list[bytes]:
    if row is None:
        return []
    values = shape.indexed(row)
    return [prefix + encoded(value) + key for prefix, value in zip(prefixes, values, strict=True)]


def _live(stored: bytes | None, shape: Shape) -> Row | None:
    """Decode a stored row, as the same row type did before; None if there is none or it was deleted."""
    if stored is None or len(stored) == HEADER_SIZE:
        return None
    return shape.decode(stored[HEADER_SIZE:])
