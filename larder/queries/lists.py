"""Lists of rows that this worker has: ranges, index look-ups and many keys, made in slices.

A list delays neither ingestion nor single rows: it yields every few milliseconds, however many entries are between two
rows. It is bounded in rows and bytes, and reports the progress of its partitions. Knows neither HTTP nor other workers.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from larder.config.errors import MistakeError
from larder.declaring.plurals import counted
from larder.declaring.problems import Problem
from larder.queries.certainty import not_here, partitions_of_key, recovering, require_certain
from larder.queries.cursors import selection_mark
from larder.queries.key_texts import encoded_key, key_text, key_value
from larder.queries.row_answers import fields_of, measures, origin_fields, rejection_fields, state_name
from larder.store import require_fresh

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from larder.local_tables.table import LocalTable
    from larder.store import Found

SLICE_SECONDS = 0.003
"""How long a list works before it yields."""

PAGE_BYTES = 4 * 1024 * 1024
"""The bound for the rows of an answer: a page of large rows ends before its limit."""

MANY_BYTES = 16 * 1024 * 1024
"""The bound for rows that are requested by key, which have no pages."""

LIMIT = 1_000
"""Rows in one answer, and keys in one request."""

USUAL_LIMIT = 100


@dataclass(frozen=True)
class Selection:
    """Selects rows of a table: a range of keys, or a value in an index; `given` has the parameters as texts."""

    given: Sequence[tuple[str, str]]
    prefix: Any = None
    from_: Any = None
    to: Any = None
    index: str = ""
    value: str = ""

    def mark(self, table: str) -> str:
        """Return the digest that a cursor of this selection carries."""
        return selection_mark(table, self.given)


def selection(  # noqa: PLR0913 - the parameters of a request
    held: LocalTable, *, prefix: str | None, from_: str | None, to: str | None, index: str | None, value: str | None
) -> Selection:
    """Parse the parameters of a list; raise MistakeError for a wrong type, or parameters that exclude each other."""
    topic = held.topic
    texts = {"prefix": prefix, "from": from_, "to": to, "index": index, "value": value}
    given = [(name, text) for name, text in texts.items() if text is not None]
    if index is None:
        if value is not None:
            raise _conflict(topic.name, "value", "requires an index", "none", "name one: index=")
        starts = None if prefix is None else (key_value(topic, prefix) if topic.key_type is bytes else prefix)
        return Selection(given, starts, _bound(held, from_), _bound(held, to))
    if value is None or prefix is not None or to is not None:
        found = "none" if value is None else "a prefix or an end of a range"
        requires = "requires a value, and nothing else but from="
        raise _conflict(topic.name, f"index {index}", requires, found, "give index= and value=")
    return Selection(given, from_=_bound(held, from_), index=index, value=value)


def _bound(held: LocalTable, text: str | None) -> Any:
    return None if text is None else key_value(held.topic, text)


def _conflict(table: str, what: str, requires: str, found: str, do: str) -> MistakeError:
    return MistakeError(Problem(f"table {table}, {what}", requires, found, do))


class ListedRow(NamedTuple):
    """A row in a list: its encoded key, and its fields in the answer."""

    key: bytes
    fields: dict[str, Any]


class RowPage(NamedTuple):
    """Rows in the order of their keys, and whether there are more after them."""

    rows: list[ListedRow]
    more: bool


class Turns:
    """Yields to other tasks every few milliseconds."""

    def __init__(self) -> None:
        """Start a slice."""
        self._until = time.perf_counter() + SLICE_SECONDS

    async def pause(self) -> None:
        """Yield to other tasks, if it is time."""
        if time.perf_counter() >= self._until:
            await asyncio.sleep(0)
            self._until = time.perf_counter() + SLICE_SECONDS


async def page(
    held: LocalTable, selected: Selection, partitions: Collection[int], limit: int, after: bytes | None
) -> RowPage:
    """Return up to `limit` rows after the encoded key `after`, of partitions that are here.

    Raise StoreErrors: InvalidRangeError, NoSuchIndexError, IndexBuildingError, and NotHeldError if a partition leaves
    this worker meanwhile.
    """
    rows: list[ListedRow] = []
    size = 0
    turns = Turns()
    for found in _steps(held, selected, partitions, after):
        if found is not None:
            if len(rows) == limit or (rows and size + len(found.json) > PAGE_BYTES):
                return RowPage(rows, more=True)
            rows.append(_row(held, found))
            size += len(found.json)
        await turns.pause()
    return RowPage(rows, more=False)


def _steps(
    held: LocalTable, selected: Selection, partitions: Collection[int], after: bytes | None
) -> Iterator[Found | None]:
    if selected.index:
        return held.stored.steps_by(partitions, selected.index, selected.value, from_=selected.from_, after=after)
    return held.stored.steps(partitions, prefix=selected.prefix, from_=selected.from_, to=selected.to, after=after)


def _row(held: LocalTable, found: Found) -> ListedRow:
    fields = {
        "key": key_text(held.topic, found.key),
        "row": fields_of(held.stored, found.json),
        **origin_fields(held.stored, found.origin),
        **rejection_fields(held.stored, found.key, [found.origin.partition]),
    }
    return ListedRow(found.key, fields)


async def rows_of(
    held: LocalTable, texts: Sequence[str], clock: Callable[[], float], max_age: float
) -> list[dict[str, Any]]:
    """Return the fields of rows by their keys, in the order of `texts`; the row is None if there certainly is none.

    Raise MistakeError for an invalid key, or if the rows are too large together, and NotSureError if a row may exist
    elsewhere or later.
    """
    answers: list[dict[str, Any]] = []
    size = 0
    turns = Turns()
    for text in texts:
        key = encoded_key(held.topic, text)
        found = held.stored.origin(key)
        if found is None:
            partitions = partitions_of_key(held, key)
            require_certain(held, f"key {text}", partitions, clock(), max_age)
            answers.append({"key": text, "row": None, **rejection_fields(held.stored, key, partitions)})
        else:
            size += len(found[0])
            if size > MANY_BYTES:
                asked = f"table {held.topic.name}, {counted(len(texts), 'key')}"
                found_ = "more"
                raise MistakeError(
                    Problem(asked, f"requires at most {MANY_BYTES} bytes of rows", found_, "ask for fewer")
                )
            row, origin = found
            rejected = rejection_fields(held.stored, key, [origin.partition])
            answers.append(
                {"key": text, "row": fields_of(held.stored, row), **origin_fields(held.stored, origin), **rejected}
            )
        await turns.pause()
    return answers


def require_listable(
    held: LocalTable, partitions: Collection[int], now: float, max_staleness: float | None = None
) -> None:
    """Raise an error if partitions cannot be listed here: one is not here, or was never complete.

    A partition that once met the end of its topic, and is catching up again, is listed: the answer says how old it is.
    """
    table = held.stored
    for partition in partitions:
        if partition not in table.partitions:
            raise not_here(table, "a list", partition)
        state = table.state(partition)
        if state.freshness(now) is None:
            found = f"partition {partition} {state_name(state.phase)}, at {state.position} of {state.end}"
            raise recovering(table, "a list", partition, now, found)
    if max_staleness is not None:
        require_fresh(table, max_staleness, now, partitions)


def how_far(held: LocalTable, partitions: Collection[int], now: float, worker: str) -> list[dict[str, Any]]:
    """Return the progress of partitions that are here, and for how many keys the newest record was rejected."""
    return [
        {
            "partition": each,
            "worker": worker,
            **measures(held.state(each), now),
            "unreadable": held.stored.shard(each).unreadable.counts.get(each, 0),
        }
        for each in sorted(partitions)
        if each in held.partitions
    ]
