"""Lists of rows: ranges of keys and index look-ups, over all stores of a table.

Lazy and bounded: nothing is read before it is asked for, and never more than the limit.
Each store is read as it was when its iterator began; what is written meanwhile is not
seen, so that no half of a batch ever is. It may not know consumers or HTTP.
"""

from collections.abc import Iterator, Sequence
from heapq import merge
from itertools import chain, islice
from typing import Any, Final, NamedTuple

import msgspec

from tables.declaring.problems import Problem
from tables.engine.errors import IndexBuildingError, InvalidRangeError, LimitError, NoSuchIndexError
from tables.engine.layout import HEADER_SIZE, ROW, Origin, after_prefix, entry_prefix, origin
from tables.engine.part import Part
from tables.engine.ranges import Range, ordering, ranges
from tables.engine.shape import Shape
from tables.engine.values import encoded

# What one answer may hold: about 2 MB of rows, and 30 ms of work.
LIMIT: Final = 10_000


class Found(NamedTuple):
    """One row: its encoded key, its JSON, and where it comes from."""

    key: bytes
    json: bytes
    origin: Origin


def scan(parts: Sequence[Part], shape: Shape, prefix: Any, from_: Any, to: Any, limit: int) -> Iterator[Found]:  # noqa: PLR0913, PLR0917
    """Give rows in the order of their keys; see `Table.scan` for the arguments."""
    check_limit(shape, limit)
    wanted = ranges(shape.key_type, prefix, from_, to)
    return _merged([_rows(part, wanted) for part in parts], shape, limit)


def by(parts: Sequence[Part], shape: Shape, index: str, value: Any, limit: int, from_: Any) -> Iterator[Found]:  # noqa: PLR0913, PLR0917
    """Give rows with a value in an index field, in the order of their keys."""
    check_limit(shape, limit)
    _check_index(parts, shape, index)
    wanted = ranges(shape.key_type, None, from_, None)
    start = entry_prefix(index) + encoded(_converted(shape, index, value))
    return _merged([_entries(part, index, start, wanted) for part in parts], shape, limit)


def _merged(rows: list[Iterator[Found]], shape: Shape, limit: int) -> Iterator[Found]:
    order = ordering(shape.key_type)
    return islice(merge(*rows, key=lambda found: order(found.key)), limit)


def _rows(part: Part, wanted: list[Range]) -> Iterator[Found]:
    for first, end in wanted:
        last = after_prefix(ROW) if end is None else ROW + end
        for key, stored in part.store.scan(ROW + first, last):
            if len(stored) > HEADER_SIZE:
                yield _found(key[1:], stored)


def _entries(part: Part, index: str, start: bytes, wanted: list[Range]) -> Iterator[Found]:
    scans = (
        part.store.scan(start + first, after_prefix(start) if end is None else start + end) for first, end in wanted
    )
    for entry, _ in chain.from_iterable(scans):
        key = entry[len(start) :]
        stored = part.stored(key)
        # The entry is as of the beginning, the row as of now: it may have changed.
        if stored is not None and _still(part, stored, index, start):
            yield _found(key, stored)


def _still(part: Part, stored: bytes, index: str, start: bytes) -> bool:
    row = part.shape.decode(stored[HEADER_SIZE:])
    return entry_prefix(index) + encoded(getattr(row, index)) == start


def _found(key: bytes, stored: bytes) -> Found:
    return Found(key, stored[HEADER_SIZE:], origin(stored))


def check_limit(shape: Shape, limit: int) -> None:
    """Raise LimitError for a limit that one answer cannot have."""
    if not 1 <= limit <= LIMIT:
        raise LimitError(
            Problem(
                f"table {shape.topic}",
                f"a limit must be from 1 to {LIMIT}",
                str(limit),
                "ask in pages: each goes on from the last key of the one before",
            ),
        )


def _check_index(parts: Sequence[Part], shape: Shape, index: str) -> None:
    table = f"table {shape.topic}"
    if index not in shape.indexes:
        declared = ", ".join(shape.indexes) or "none"
        do = f"declare it: indexes=[{index!r}]"
        raise NoSuchIndexError(Problem(table, f"by({index!r}) requires that index", declared, do))
    if any(index in part.indexes.building for part in parts):
        do = "ask again when it is complete; it is being built from the rows that are here"
        raise IndexBuildingError(Problem(table, f"index {index} must be complete", "it is being built", do))


def _converted(shape: Shape, index: str, value: Any) -> Any:
    """Give a value as the field has it; text that stands for it will do, as in a URL."""
    field = next(field for field in msgspec.structs.fields(shape.row) if field.name == index)
    try:
        return msgspec.convert(value, field.type)
    except msgspec.ValidationError:
        pass
    try:
        return msgspec.convert(value, field.type, strict=False)
    except msgspec.ValidationError as error:
        what = f"table {shape.topic}, index {index}"
        raise InvalidRangeError(
            Problem(what, f"the value must be of the type of {index}", str(error), "give such a value"),
        ) from None
