"""The plan for a batch in which every record is a new row: nearly all of what a restore reads.

Works column by column instead of record by record, which halves its cost; anything else in the batch sends
the whole of it the ordinary way. It decides nothing that `planning.plan` would decide otherwise, which a
property test holds it to. It may not know RocksDB, positions or time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tables.declaring.rows import Row
from tables.engine.layout import FORMAT, NO_REVISION, pack_header
from tables.engine.records import Record
from tables.engine.shape import UNREADABLE, Shape


class NewRows(NamedTuple):
    """Key to the bytes to be stored, and the decoded rows by key where indexes are declared."""

    writes: dict[bytes, bytes]
    rows: dict[bytes, Row]


def new_rows(records: Sequence[Record], partition: int, shape: Shape) -> NewRows | None:
    """Plan records of which no key is stored; None if any of them is not a good row, or a key comes twice."""
    keys = [record.key for record in records]
    values = [record.value for record in records]
    decode, identify, encode = shape.decode, shape.identify, shape.encode_key
    try:
        # A record without a value raises TypeError here, as its decoder does.
        rows = [decode(value) for value in values]  # type: ignore[arg-type]
        identified = [identify(row) for row in rows]
        encoded = [encode(key) for key, _ in identified]
    except UNREADABLE:
        return None
    if encoded != keys or len(set(encoded)) < len(encoded):
        return None
    revisions = [revision for _, revision in identified] if shape.revised else [record.offset for record in records]
    if set(map(type, revisions)) != {int} or not NO_REVISION < min(revisions) <= max(revisions) < -NO_REVISION:
        return None
    writes = {
        key: pack_header(FORMAT, revision, partition, record.offset, record.timestamp) + value  # type: ignore[operator]
        for key, revision, record, value in zip(encoded, revisions, records, values, strict=True)
    }
    return NewRows(writes, dict(zip(encoded, rows, strict=True)) if shape.indexes else {})
