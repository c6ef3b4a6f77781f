"""Revisions that fall: a record has a lower revision than an earlier one of its key in the same partition.

An owner's revisions rise. If one falls, the later record is ignored, but compaction keeps it and drops the earlier
one, so that later readers of the topic get another row. Copies then depend on when they were read, until all are
rebuilt. A record that is read again has a lower offset than the stored one, and does not count.

Pure. Does not know the store.
"""

from typing import Any

import msgspec

from larder.store.layout import origin


class Fell(msgspec.Struct, frozen=True, array_like=True):
    """A revision that fell, the revision of the earlier record, and their offsets."""

    partition: int
    key: bytes
    offset: int
    revision: int
    earlier_offset: int
    earlier_revision: int

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, with the key as text."""
        return {**msgspec.structs.asdict(self), "key": shown(self.key)}


def shown(key: bytes) -> str:
    """Return a key for people; bytes that are not text are escaped."""
    return key.decode(errors="backslashreplace")


def fell(key: bytes, offset: int, revision: int, before: bytes, partition: int) -> Fell | None:
    """Compare a record's revision with that of the stored row."""
    known = origin(before)
    if known.partition != partition or known.offset >= offset or known.revision <= revision:
        return None
    return Fell(partition, key, offset, revision, known.offset, known.revision)
