"""The changes in a batch, in order, each with the row before and after it.

`plan` gives the outcome of a batch; reactions need each change. Pure. Does not know the store.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from larder.declaring.records import Record
from larder.store.applying.plan import plan
from larder.store.layout import HEADER_SIZE
from larder.store.records import Rejected
from larder.store.row_schema import Shape
from larder.store.storage.unreadable import leaves_nothing


class RowChange(NamedTuple):
    """A new, changed or deleted row; None for no row. With `unread` its old row, if any, cannot be read."""

    record: Record
    old: bytes | None
    new: bytes | None
    unread: bool = False


def changes(
    records: Sequence[Record], known: dict[bytes, bytes | None], unread: set[bytes], partition: int, shape: Shape
) -> Iterator[RowChange | Rejected]:
    """Yield the changes that records make, and the records that are not rows.

    `known` has header and JSON of what is stored under their keys, `unread` the keys whose newest record was not a
    row; both are updated. Stale and unchanged records change nothing; the revision of an unchanged row counts for
    later records, as in `plan`.
    """
    for record in records:
        key = record.key
        before = None if key is None else known.get(key)
        planned = plan((record,), {key or b"": before}, partition, shape)
        applied = planned.applied
        yield from applied.rejected
        known.update(planned.writes)
        if key is None:
            continue
        if applied.rejected:
            (unread.discard if leaves_nothing(record) else unread.add)(key)
            continue
        was_unread = key in unread and _json(before) is None
        unread.discard(key)
        if applied.changed_keys or (was_unread and (before is None or not applied.stale)):
            yield RowChange(record, _json(before), _json(planned.writes.get(key)), was_unread)


def _json(stored: bytes | None) -> bytes | None:
    return None if stored is None or len(stored) == HEADER_SIZE else stored[HEADER_SIZE:]
