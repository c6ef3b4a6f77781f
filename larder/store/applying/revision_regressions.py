"""Revisions that fall: a record of a key with a lower revision than one that lies before it in the same partition.

An owner's revisions rise. Where one falls, the later record is ignored here, while compaction keeps it and drops the
one before: whoever reads the topic later sees another row. Copies then differ by when they were read, until each is
rebuilt. A record that is read again lies before the stored one, and does not count.

Pure. It may not know the store.
"""

from typing import Any

import msgspec

from larder.store.layout import origin


class Fell(msgspec.Struct, frozen=True, array_like=True):
    """A revision that fell, with that of the record which lies before it, and their offsets."""

    partition: int
    key: bytes
    offset: int
    revision: int
    earlier_offset: int
    earlier_revision: int

    def as_dict(self) -> dict[str, Any]:
        """Give plain values, with the key as text."""
        return {**msgspec.structs.asdict(self), "key": shown(self.key)}


def shown(key: bytes) -> str:
    """Give a key as people read it; bytes that are no text are escaped."""
    return key.decode(errors="backslashreplace")


def fell(key: bytes, offset: int, revision: int, before: bytes, partition: int) -> Fell | None:
    """Compare a record's revision with what is stored under its key."""
    known = origin(before)
    if known.partition != partition or known.offset >= offset or known.revision <= revision:
        return None
    return Fell(partition, key, offset, revision, known.offset, known.revision)
