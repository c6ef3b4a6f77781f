"""Deletions: a record without a value deletes the row, and its revision is remembered.

A deletion is kept as a bare header, so that a late older event does not bring the row back. Its revision is that of
the header `larder.revision` (an integer in ASCII). Without one it counts as newer than the stored row of the same
partition, and keeps that row's revision; it does not touch a row of another partition (rule 20: a deletion hides
another partition's copy only by revision). Topics without revisions use the offset.

It is remembered from when it was read, by the clock. The record's own time may be old or missing, as in a backfill,
and says nothing about when late records may still arrive.

Pure. Does not know the store; `deletion_expiry` forgets old deletions.
"""

from enum import Enum, auto
from typing import Final, NamedTuple

from larder.declaring.records import Record
from larder.store.applying.rejecting import key_cause, revision_cause
from larder.store.applying.revision_regressions import Fell, fell
from larder.store.layout import (
    FORMAT,
    HEADER_SIZE,
    NO_REVISION,
    Origin,
    origin,
    pack_header,
)
from larder.store.row_schema import Shape

REVISION_HEADER: Final = "larder.revision"


class Tombstone(Enum):
    """The outcome of a record without a value."""

    DELETED = auto()
    UNCHANGED = auto()
    STALE = auto()
    REJECTED = auto()


class Decided(NamedTuple):
    """The outcome, the bytes to store (None for nothing), the cause of a rejection, and whether the revision fell."""

    kind: Tombstone
    stored: bytes | None = None
    cause: str = ""
    fell: Fell | None = None


def tombstone(
    record: Record,
    before: bytes | None,
    partition: int,
    shape: Shape,
    now: int,
) -> Decided:
    """Decide what a record without a value does to the stored row of its key; `now` in ms."""
    key = record.key
    if key is None or not readable(key, shape):
        return Decided(Tombstone.REJECTED, cause=key_cause(key, None, shape))
    try:
        declared = declared_revision(record) if shape.revised else record.offset
    except ValueError as error:
        return Decided(Tombstone.REJECTED, cause=revision_cause(str(error), shape))
    known = origin(before) if before is not None else None
    revision = _revision(declared, known, record.offset, partition, revised=shape.revised)
    if revision is None:
        if before is None or declared is None:
            return Decided(Tombstone.STALE)
        return Decided(Tombstone.STALE, fell=fell(key, record.offset, declared, before, partition))
    stored = pack_header(FORMAT, revision, partition, record.offset, now)
    gone = before is not None and len(before) > HEADER_SIZE
    return Decided(Tombstone.DELETED if gone else Tombstone.UNCHANGED, stored)


def declared_revision(record: Record, header: str = REVISION_HEADER) -> int | None:
    """Read the revision in a deletion's header; raise ValueError unless it is a 64-bit integer."""
    for name, value in record.headers:
        if name == header:
            revision = int(value or b"")
            if not NO_REVISION < revision < -NO_REVISION:
                raise ValueError(value)
            return revision
    return None


def _revision(
    declared: int | None,
    known: Origin | None,
    offset: int,
    partition: int,
    *,
    revised: bool,
) -> int | None:
    """Return the revision that a deletion keeps; None if it is stale."""
    if known is None:
        return NO_REVISION if declared is None else declared
    if declared is None or not revised:
        foreign = known.partition != partition
        older = declared is not None and declared <= known.revision
        # In a log that is read again, later records were applied already.
        read_again = known.offset >= offset
        if foreign or older or read_again:
            return None
        return known.revision if declared is None else declared
    return declared if declared > known.revision else None


def readable(key: bytes, shape: Shape) -> bool:
    """Return whether bytes are a key of the declared type."""
    try:
        shape.key_type.decode(key)
    except (ValueError, TypeError):
        return False
    return True
