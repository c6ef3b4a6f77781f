"""Decides what a batch of records does to a table, without touching the store.

`plan` is a function from records, and what is stored under their keys, to what has to be written. It implements rule 4
(a batch has the effect of its records one by one), staleness, and remembered deletions. Knows no RocksDB, no positions
and no time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from larder.declaring.records import Record
from larder.declaring.rows import Row
from larder.store.applying.bulk_insert import new_rows
from larder.store.applying.deletions import Tombstone, tombstone
from larder.store.applying.rejecting import key_cause, revision_cause, value_cause
from larder.store.applying.revision_regressions import fell
from larder.store.layout import (
    FORMAT,
    HEADER_SIZE,
    NO_REVISION,
    REVISION_AT,
    origin,
    pack_header,
)
from larder.store.records import Applied, Rejected
from larder.store.row_schema import UNREADABLE, Shape

_int = int.from_bytes


@dataclass(slots=True)
class BatchPlan:
    """The outcome of a batch.

    writes   the bytes to store by key; a bare header remembers a deletion.
    rows     decoded rows of `writes` if indexes are declared, else empty.
    changed  the keys of new, changed and deleted rows, in that order.
    """

    writes: dict[bytes, bytes]
    rows: dict[bytes, Row]
    changed: dict[bytes, None]
    applied: Applied

    def bury(
        self,
        record: Record,
        stored: Mapping[bytes, bytes | None],
        partition: int,
        shape: Shape,
        now: int,
    ) -> None:
        """Add a deletion, or a record without a key; `now` in ms."""
        key = record.key
        if key is None:
            self.applied.rejected.append(Rejected(record, key_cause(None, None, shape)))
            return
        found = tombstone(record, self.writes.get(key) or stored.get(key), partition, shape, now)
        if found.kind is Tombstone.REJECTED:
            self.applied.rejected.append(Rejected(record, found.cause))
        elif found.kind is Tombstone.STALE:
            self.applied.stale += 1
            self.applied.fell = self.applied.fell or found.fell
        elif found.kind is Tombstone.UNCHANGED:
            self.applied.unchanged += 1
        else:
            self.applied.deleted += 1
            self.changed[key] = None
        if found.stored is not None:
            self.writes[key] = found.stored
            self.rows.pop(key, None)


def plan(  # noqa: C901, PLR0912  one loop body, in one place: a call for each record would cost a third of it
    records: Sequence[Record],
    stored: Mapping[bytes, bytes | None],
    partition: int,
    shape: Shape,
    now: int = 0,
) -> BatchPlan:
    """Decide what a batch of one partition does.

    `stored` has what the store has under the keys of the batch, None or nothing for a missing row. `now` is when the
    batch was read, in ms. Bad records raise nothing: they are in `applied.rejected`, each with its cause.

    This loop is the only per-record Python of ingestion; its benchmark is tests/bench/engine_apply.py.
    """
    if records and not stored and (fresh := new_rows(records, partition, shape)) is not None:
        keys = list(fresh.writes)
        return BatchPlan(fresh.writes, fresh.rows, {}, Applied(new=len(keys), changed_keys=keys))
    planned = BatchPlan({}, {}, {}, Applied())
    writes, rows, changed, rejected = planned.writes, planned.rows, planned.changed, planned.applied.rejected
    new = updated = unchanged = stale = 0
    decode, identify, encode, pack = shape.decode, shape.identify, shape.encode_key, pack_header
    revised, indexed = shape.revised, bool(shape.indexes)
    for record in records:
        key, value, offset = record.key, record.value, record.offset
        if value is None or key is None:
            planned.bury(record, stored, partition, shape, now)
            continue
        try:
            row = decode(value)
            row_key, revision = identify(row)
            if encode(row_key) != key:
                rejected.append(Rejected(record, key_cause(key, row_key, shape)))
                continue
        except UNREADABLE as error:
            rejected.append(Rejected(record, value_cause(value, error, shape)))
            continue
        if not revised:
            revision = offset
        elif revision.__class__ is not int or not NO_REVISION < revision < -NO_REVISION:
            rejected.append(Rejected(record, revision_cause(revision, shape)))
            continue
        before = writes.get(key) or stored.get(key)
        if before is not None:
            known = _int(before[REVISION_AT], "big", signed=True)
            if revision <= known and (revised or origin(before).partition == partition):
                stale += 1
                if planned.applied.fell is None:
                    planned.applied.fell = fell(key, offset, revision, before, partition)
                continue
        writes[key] = pack(FORMAT, revision, partition, offset, record.timestamp) + value
        if indexed:
            rows[key] = row
        if before is None or len(before) == HEADER_SIZE:
            new += 1
        elif same(before, value, known, revision, shape):
            unchanged += 1
            continue
        else:
            updated += 1
        changed[key] = None
    planned.applied.new, planned.applied.changed = new, updated
    planned.applied.unchanged += unchanged
    planned.applied.stale += stale
    planned.applied.changed_keys = list(changed)
    return planned


def same(before: bytes, value: bytes, known: int, revision: int, shape: Shape) -> bool:
    """Return whether a row's JSON is the stored one byte for byte, except for its revision.

    Another layout of the same JSON counts as different, which only costs a notification. So does a field of the same
    name and number in a nested object before the revision.
    """
    if not shape.revised:
        return before[HEADER_SIZE:] == value
    old, new = b"%d" % known, b"%d" % revision
    if len(before) - HEADER_SIZE - len(old) != len(value) - len(new):
        return False
    spaced = shape.revision_token + b" "
    token = spaced if spaced in value else shape.revision_token
    return before[HEADER_SIZE:].replace(token + old, token + new, 1) == value
