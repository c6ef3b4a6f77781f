"""Lists of rows: ranges of keys and index look-ups, over all stores of a table.

Lazy and bounded: rows are read when the caller takes them, up to the limit. An iterator is a snapshot of its store
without later writes, and so never shows half of a batch. Knows no consumers and no HTTP.
"""

from collections.abc import Iterator, Sequence
from heapq import heapify, heappop, heapreplace
from itertools import chain, islice
from typing import Any, Final, NamedTuple

import msgspec

from larder.declaring.problems import Problem
from larder.store.errors import IndexBuildingError, InvalidRangeError, LimitError, NoSuchIndexError
from larder.store.layout import HEADER_SIZE, ROW, Origin, after_prefix, entry_prefix, origin
from larder.store.reading.ranges import Range, ordering, ranges
from larder.store.row_schema import Shape
from larder.store.shard import Shard
from larder.store.values import encoded

# The maximum number of rows in an answer: about 2 MB, and 30 ms of work.
LIMIT: Final = 10_000

# Entries that are skipped in a row before the caller gets control: remembered deletions, a tenth of a millisecond
# of them.
_PAUSE_AFTER: Final = 128


class Found(NamedTuple):
    """One row: its encoded key, its JSON, and where it comes from."""

    key: bytes
    json: bytes
    origin: Origin


def scan(shards: Sequence[Shard], shape: Shape, prefix: Any, from_: Any, to: Any, limit: int) -> Iterator[Found]:  # noqa: PLR0913, PLR0917
    """Return rows in the order of their keys; see `Table.scan` for the arguments."""
    check_limit(shape, limit)
    return _rows_alone(scan_steps(shards, shape, prefix, from_, to, None), limit)


def by(shards: Sequence[Shard], shape: Shape, index: str, value: Any, limit: int, from_: Any) -> Iterator[Found]:  # noqa: PLR0913, PLR0917
    """Return the rows with a value in an index field, in the order of their keys."""
    check_limit(shape, limit)
    return _rows_alone(by_steps(shards, shape, index, value, from_, None), limit)


def scan_steps(  # noqa: PLR0913, PLR0917
    shards: Sequence[Shard], shape: Shape, prefix: Any, from_: Any, to: Any, after: bytes | None
) -> Iterator[Found | None]:
    """Return the rows of `scan` without a limit, after the encoded key `after`, and None after many skipped entries.

    At each None the caller can yield to other tasks, even if there are few rows.
    """
    wanted = ranges(shape.key_type, prefix, from_, to, after)
    return _merged([_rows(shard, wanted) for shard in shards], shape)


def by_steps(  # noqa: PLR0913, PLR0917
    shards: Sequence[Shard], shape: Shape, index: str, value: Any, from_: Any, after: bytes | None
) -> Iterator[Found | None]:
    """Return the rows of `by` without a limit; see `scan_steps`."""
    _check_index(shards, shape, index)
    wanted = ranges(shape.key_type, None, from_, None, after)
    start = entry_prefix(index) + encoded(_converted(shape, index, value))
    return _merged([_entries(shard, index, start, wanted) for shard in shards], shape)


def _rows_alone(steps: Iterator[Found | None], limit: int) -> Iterator[Found]:
    return islice((found for found in steps if found is not None), limit)


def _merged(sources: list[Iterator[Found | None]], shape: Shape) -> Iterator[Found | None]:
    """Merge the sources in the order of keys, and pass on their pauses."""
    order = ordering(shape.key_type)
    sources = [_with_pauses(source) for source in sources]
    heads: list[tuple[Any, int, Found]] = []
    for at, source in enumerate(sources):
        for found in source:
            if found is not None:
                heads.append((order(found.key), at, found))
                break
            yield None
    heapify(heads)
    while heads:
        _, at, found = heads[0]
        yield found
        for following in sources[at]:
            if following is not None:
                heapreplace(heads, (order(following.key), at, following))
                break
            yield None
        else:
            heappop(heads)


def _with_pauses(entries: Iterator[Found | None]) -> Iterator[Found | None]:
    """Drop most of the pauses for skipped entries."""
    passed = 0
    for found in entries:
        if found is None:
            passed += 1
            if passed % _PAUSE_AFTER:
                continue
        yield found


def _rows(shard: Shard, wanted: list[Range]) -> Iterator[Found | None]:
    for first, end in wanted:
        last = after_prefix(ROW) if end is None else ROW + end
        for key, stored in shard.store.scan(ROW + first, last):
            yield _found(key[1:], stored) if len(stored) > HEADER_SIZE else None


def _entries(shard: Shard, index: str, start: bytes, wanted: list[Range]) -> Iterator[Found | None]:
    scans = (
        shard.store.scan(start + first, after_prefix(start) if end is None else start + end) for first, end in wanted
    )
    for entry, _ in chain.from_iterable(scans):
        key = entry[len(start) :]
        stored = shard.stored(key)
        # The entry is from the snapshot, the row is the present one: it may have changed.
        yield _found(key, stored) if stored is not None and _still(shard, stored, index, start) else None


def _still(shard: Shard, stored: bytes, index: str, start: bytes) -> bool:
    row = shard.shape.decode(stored[HEADER_SIZE:])
    return entry_prefix(index) + encoded(getattr(row, index)) == start


def _found(key: bytes, stored: bytes) -> Found:
    return Found(key, stored[HEADER_SIZE:], origin(stored))


def check_limit(shape: Shape, limit: int) -> None:
    """Raise LimitError for an invalid limit."""
    if not 1 <= limit <= LIMIT:
        raise LimitError(
            Problem(
                f"table {shape.topic}",
                f"a limit must be from 1 to {LIMIT}",
                str(limit),
                "ask in pages: each continues after the last key of the previous one",
            ),
        )


def _check_index(shards: Sequence[Shard], shape: Shape, index: str) -> None:
    table = f"table {shape.topic}"
    if index not in shape.indexes:
        declared = ", ".join(shape.indexes) or "none"
        do = f"declare it: indexes=[{index!r}]"
        raise NoSuchIndexError(Problem(table, f"requires {index} among its indexes", declared, do))
    building = next((shard for shard in shards if index in shard.indexes.building), None)
    if building is not None:
        do = "ask again when it is complete; it is being built from the rows that are here"
        problem = Problem(table, f"index {index} must be complete", "it is being built", do)
        raise IndexBuildingError(problem, next(iter(building.states.values())))


def _converted(shape: Shape, index: str, value: Any) -> Any:
    """Convert a value to the type of the field; text, as in a URL, is accepted."""
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
