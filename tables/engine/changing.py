"""What a batch changes, row by row and in its order: each change with the row before and after it.

`plan` tells where a batch ends; whoever reacts to changes needs each of them. Pure. It may not know the store.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tables.declaring.records import Record
from tables.engine.layout import HEADER_SIZE
from tables.engine.planning import plan
from tables.engine.records import Rejected
from tables.engine.shape import Shape


class Change(NamedTuple):
    """A row that became new, different or gone; None for no row."""

    record: Record
    old: bytes | None
    new: bytes | None


def changes(
    records: Sequence[Record], known: dict[bytes, bytes | None], partition: int, shape: Shape
) -> Iterator[Change | Rejected]:
    """Give the changes that records make, and the records that are no rows.

    `known` has what is stored under their keys, header and JSON, and is brought up to
    date. What is stale or unchanged changes nothing; the revision of an unchanged row
    counts against those after it, as it does in `plan`.
    """
    for record in records:
        before = None if record.key is None else known.get(record.key)
        planned = plan((record,), {record.key or b"": before}, partition, shape)
        yield from planned.applied.rejected
        known.update(planned.writes)
        if record.key is not None and planned.applied.changed_keys:
            yield Change(record, _json(before), _json(planned.writes[record.key]))


def _json(stored: bytes | None) -> bytes | None:
    return None if stored is None or len(stored) == HEADER_SIZE else stored[HEADER_SIZE:]
