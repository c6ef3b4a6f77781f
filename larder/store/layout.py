"""What the bytes of a store mean: one key space, told apart by the first byte.

    m format | identity | index name      text, JSON and JSON: what this store is
    m parked                              how many records x there are
    m fell                                the first revision that fell, see `falling`
    m unreadable                          how many keys n there are, by partition
    p partition (4)                       position record, see `Mark`
    r key                                 header (29), then the row's JSON; a header
                                          alone is the memory of a deletion
    i index 0 value key                   nothing; see `values` for the value's bytes
    t partition (4) read (8) key          nothing; queue of deletions to be forgotten
    x partition (4) offset (8)            a record that was no row, see `parked`
    u partition (4) offset (8)            nothing; queue of those to be told elsewhere
    n partition (4) key                   why the newest record of a key was no row, see `unreadable`
    f partition (4)                       how the topic was last read as a whole, see `FullRead`
    s partition (4) key                   offset (8) at which a row was met in it

One key space and not column families: both were measured (400,000 rows of 183 bytes,
batches of 1,000: 550-720k and 635-675k rows/s, get 3.1-3.6 and 3.1-3.4 us; no
difference beyond noise), and one has one memtable for each store, and rows, entries
and position in one file sequence, so that nothing can be flushed apart.
This module knows bytes only; it may not know RocksDB or records.
"""

from enum import IntEnum
from struct import Struct
from typing import Final, NamedTuple

# Rises with any change of this module or of `values`; another number is rebuilt.
FORMAT: Final = 4

META: Final = b"m"
POSITION: Final = b"p"
ROW: Final = b"r"
ENTRY: Final = b"i"
TOMBSTONE: Final = b"t"
PARKED: Final = b"x"
UNTOLD: Final = b"u"
UNREADABLE: Final = b"n"
FULL_READ: Final = b"f"
MET: Final = b"s"

IDENTITY_KEY: Final = META + b"identity"
INDEX_KEY: Final = META + b"index "
PARKED_KEY: Final = META + b"parked"
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

# Lower than any revision of an owner: a deletion of a row that was never seen.
NO_REVISION: Final = -(2**63)


class Origin(NamedTuple):
    """Where a stored row comes from. Revision is the offset where none is declared.

    `timestamp` of a deletion is when it was read: its memory counts from then on.
    """

    revision: int
    partition: int
    offset: int
    timestamp: int


class Mark(NamedTuple):
    """How far a partition is: kept with its rows, written in the same batch.

    position   next offset to read.
    at_end     when the topic's end was last met, in s since 1970; 0.0 for never.
    rows       how many rows came from this partition, less those it deleted. Exact
               over all partitions of a store.
    """

    position: int = 0
    at_end: float = 0.0
    rows: int = 0


class FullReadStage(IntEnum):
    """How far a full read is: its log is read; rows that were not met are removed; there is no more to do."""

    READING = 0
    SWEEPING = 1
    DONE = 2


class FullRead(NamedTuple):
    """The last reading of a partition from the start of its log on.

    stage
    first   the log's start at that time: what lay before it is not in the store.
    begun   when it began, in s since 1970.
    before  the position that the store had until then: its rows from before it are
            gone from the topic, if they are not met again.
    """

    stage: FullReadStage
    first: int
    begun: float
    before: int


def origin(stored: bytes) -> Origin:
    """Read the header of a stored row or of a deletion."""
    return Origin(*_HEADER.unpack_from(stored)[1:])


def position_key(partition: int) -> bytes:
    """Give the key of a partition's mark."""
    return POSITION + _PARTITION.pack(partition)


def pack_mark(mark: Mark) -> bytes:
    """Write a mark."""
    return _MARK.pack(*mark)


def unpack_mark(stored: bytes | None) -> Mark:
    """Read a mark; that of a partition that was never read when there is none."""
    return Mark() if stored is None else Mark(*_MARK.unpack(stored))


def full_read_key(partition: int) -> bytes:
    """Give the key of a partition's full read."""
    return FULL_READ + _PARTITION.pack(partition)


def pack_full_read(read: FullRead) -> bytes:
    """Write a full read."""
    return _FULL_READ.pack(*read)


def unpack_full_read(stored: bytes) -> FullRead:
    """Read a full read."""
    stage, first, begun, before = _FULL_READ.unpack(stored)
    return FullRead(FullReadStage(stage), first, begun, before)


def met_prefix(partition: int) -> bytes:
    """Give what the marks of all rows of a partition begin with that were met."""
    return MET + _PARTITION.pack(partition)


def pack_offset(offset: int) -> bytes:
    """Write where a row was met."""
    return _OFFSET.pack(offset)


def unpack_offset(stored: bytes | None) -> int:
    """Read where a row was met; -1 where it was not."""
    return -1 if stored is None else int(_OFFSET.unpack(stored)[0])


def tombstone_key(partition: int, read_at: int, key: bytes) -> bytes:
    """Give the place in the queue of a deletion that was read at a time, in ms."""
    return TOMBSTONE + _QUEUED.pack(partition, read_at) + key


def unpack_tombstone(queued: bytes) -> tuple[int, bytes]:
    """Give the time and the key of a place in the queue."""
    read_at: int = _QUEUED.unpack_from(queued, 1)[1]
    return read_at, queued[1 + _QUEUED.size :]


def entry_prefix(index: str) -> bytes:
    """Give what all entries of an index begin with; names have no zero byte."""
    return ENTRY + index.encode() + b"\0"


def after_prefix(prefix: bytes) -> bytes | None:
    """Give the first key that lies behind all keys with this prefix; None for no end."""
    kept = prefix.rstrip(b"\xff")
    return kept[:-1] + bytes((kept[-1] + 1,)) if kept else None
