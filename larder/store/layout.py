"""The layout of a store: one key space, in which the first byte of a key is its kind.

    m format | identity | index name      text, JSON and JSON: what the store is
    m parked                              how many records x there are
    m fell                                the first revision that fell, see `revision_regressions`
    m unreadable                          how many keys n there are, by partition
    p partition (4)                       position record, see `Mark`
    r key                                 header (29), then the row's JSON; a header
                                          alone remembers a deletion
    i index 0 value key                   nothing; see `values` for the value's bytes
    t partition (4) read (8) key          nothing; queue of deletions to forget
    x partition (4) offset (8)            a rejected record, see `rejected_records`
    u partition (4) offset (8)            nothing; queue of those that have to be published
    n partition (4) key                   why the newest record of a key is not a row, see `unreadable`
    f partition (4)                       the last full read of the topic, see `FullRead`
    s partition (4) key                   offset (8) at which it found a row

One key space rather than column families: both are equally fast (400,000 rows of 183 bytes, batches of
1,000: 550-720k and 635-675k rows/s, get 3.1-3.6 and 3.1-3.4 us), and with one key space a store has one
memtable, and rows, entries and position go into the same files, so that none is flushed without the others.
Knows bytes only, neither RocksDB nor records.
"""

from enum import IntEnum
from struct import Struct
from typing import Final, NamedTuple

# Rises with each change of this module or of `values`; a store with another number is rebuilt.
FORMAT: Final = 4

META: Final = b"m"
POSITION: Final = b"p"
ROW: Final = b"r"
ENTRY: Final = b"i"
TOMBSTONE: Final = b"t"
REJECTED: Final = b"x"
UNPUBLISHED: Final = b"u"
UNREADABLE: Final = b"n"
FULL_READ: Final = b"f"
MET: Final = b"s"

IDENTITY_KEY: Final = META + b"identity"
INDEX_KEY: Final = META + b"index "
REJECTED_KEY: Final = META + b"parked"
FELL_KEY: Final = META + b"fell"
UNREADABLE_KEY: Final = META + b"unreadable"

# Format, revision, partition, offset, timestamp (ms).
_HEADER: Final = Struct(">BqIqq")
HEADER_SIZE: Final = _HEADER.size
pack_header: Final = _HEADER.pack
REVISION_AT: Final = slice(1, 9)

_MARK: Final = Struct(">qdq")
_PARTITION: Final = Struct(">I")
_QUEUED: Final = Struct(">Iq")
_FULL_READ: Final = Struct(">Bqdq")
_OFFSET: Final = Struct(">q")

# Lower than any revision of an owner: for the deletion of an unknown row.
NO_REVISION: Final = -(2**63)


class Origin(NamedTuple):
    """Where a stored row comes from. The revision is the offset if none is declared.

    The `timestamp` of a deletion is when it was read: it is remembered from then on.
    """

    revision: int
    partition: int
    offset: int
    timestamp: int


class Mark(NamedTuple):
    """The progress of a partition, written in the same batch as its rows.

    position   the next offset to read.
    at_end     when it last reached the end of the topic, in s since 1970; 0.0 for never.
    rows       the rows that came from this partition, minus those that it deleted. Exact
               over all partitions of a store.
    """

    position: int = 0
    at_end: float = 0.0
    rows: int = 0


class FullReadStage(IntEnum):
    """The stage of a full read: reading the log, removing rows that it did not find, done."""

    READING = 0
    SWEEPING = 1
    DONE = 2


class FullRead(NamedTuple):
    """The last full read: reading a partition from the start of its log.

    stage
    first   the start of the log at that time; the store has nothing from before it.
    begun   when it began, in s since 1970.
    before  the position of the store until then. Rows from before it that the read does
            not find are gone from the topic.
    """

    stage: FullReadStage
    first: int
    begun: float
    before: int


def origin(stored: bytes) -> Origin:
    """Unpack the header of a stored row or deletion."""
    return Origin(*_HEADER.unpack_from(stored)[1:])


def position_key(partition: int) -> bytes:
    """Return the key of a partition's mark."""
    return POSITION + _PARTITION.pack(partition)


def pack_mark(mark: Mark) -> bytes:
    """Pack a mark."""
    return _MARK.pack(*mark)


def unpack_mark(stored: bytes | None) -> Mark:
    """Unpack a mark; without one, return that of a partition that was never read."""
    return Mark() if stored is None else Mark(*_MARK.unpack(stored))


def full_read_key(partition: int) -> bytes:
    """Return the key of a partition's full read."""
    return FULL_READ + _PARTITION.pack(partition)


def pack_full_read(read: FullRead) -> bytes:
    """Pack a full read."""
    return _FULL_READ.pack(*read)


def unpack_full_read(stored: bytes) -> FullRead:
    """Unpack a full read."""
    stage, first, begun, before = _FULL_READ.unpack(stored)
    return FullRead(FullReadStage(stage), first, begun, before)


def met_prefix(partition: int) -> bytes:
    """Return the prefix of the keys of a partition for rows that a full read found."""
    return MET + _PARTITION.pack(partition)


def pack_offset(offset: int) -> bytes:
    """Pack the offset at which a row was found."""
    return _OFFSET.pack(offset)


def unpack_offset(stored: bytes | None) -> int:
    """Unpack the offset at which a row was found; -1 if it was not."""
    return -1 if stored is None else int(_OFFSET.unpack(stored)[0])


def tombstone_key(partition: int, read_at: int, key: bytes) -> bytes:
    """Return the key in the queue of a deletion that was read at a time in ms."""
    return TOMBSTONE + _QUEUED.pack(partition, read_at) + key


def unpack_tombstone(queued: bytes) -> tuple[int, bytes]:
    """Unpack the time and the row's key from a key in the queue."""
    read_at: int = _QUEUED.unpack_from(queued, 1)[1]
    return read_at, queued[1 + _QUEUED.size :]


def entry_prefix(index: str) -> bytes:
    """Return the prefix of all entries of an index; names have no zero byte."""
    return ENTRY + index.encode() + b"\0"


def after_prefix(prefix: bytes) -> bytes | None:
    """Return the first key after all keys with this prefix; None if there is none."""
    kept = prefix.rstrip(b"\xff")
    return kept[:-1] + bytes((kept[-1] + 1,)) if kept else None
