"""Adds a plan to a write of the store: rows, remembered deletions, and index entries."""

from collections.abc import Mapping

from larder.store.applying.indexes import changed_entries
from larder.store.applying.plan import BatchPlan
from larder.store.layout import HEADER_SIZE, ROW, origin, tombstone_key
from larder.store.row_schema import Shape
from larder.store.storage.store import StoreBatch


def put_plan(  # noqa: PLR0913  the write, the plan, and what it was made with
    batch: StoreBatch,
    partition: int,
    planned: BatchPlan,
    stored: Mapping[bytes, bytes | None],
    shape: Shape,
    *,
    remembers: bool,
) -> None:
    """Add a plan that was made with `stored`. With `remembers` deletions are remembered; else rows are just removed."""
    put = batch.put
    for key, value in planned.writes.items():
        gone = len(value) == HEADER_SIZE
        if gone and not remembers:
            batch.delete(ROW + key)
            continue
        put(ROW + key, value)
        if gone:
            put(tombstone_key(partition, origin(value).timestamp, key), b"")
    entries = changed_entries(planned, stored, shape)
    for entry in entries.gone:
        batch.delete(entry)
    for entry in entries.new:
        put(entry, b"")
