"""Looks up one row by its key in this worker's tables: the row and how old it is, or why there is none.

Knows neither HTTP nor Kafka.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from larder.declaring.problems import Problem
from larder.queries.certainty import partitions_of_key, require_certain, require_partitions_of_key
from larder.queries.key_texts import encoded_key
from larder.queries.lookup_errors import NoSuchKeyError, NoSuchTableError, UnreadableRowError, UnreadableStateError
from larder.queries.row_answers import fields_of, measures, origin_fields, rejection, rejection_fields
from larder.store import read_token, require_fresh, until_applied

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from larder.local_tables.table import LocalTable


async def look_up_after(  # noqa: PLR0913 - the parameters of a request
    tables: Mapping[str, LocalTable],
    name: str,
    text: str,
    *,
    after: str,
    within: float,
    clock: Callable[[], float],
    max_age: float,
    max_staleness: float | None = None,
) -> dict[str, Any]:
    """Look up a row as `look_up` does, after waiting up to `within` seconds for the write with the token `after`.

    The token counts for the partition of the key, or for all of a global table. Raise the errors of `look_up`, and
    StoreErrors: InvalidTokenError, OtherTopicError, NotHeldError, BehindError.
    """
    held = held_table(tables, name)
    partitions = require_partitions_of_key(held, text, encoded_key(held.topic, text))
    await until_applied(held.stored, read_token(after), within, partitions)
    return look_up(tables, name, text, now=clock(), max_age=max_age, max_staleness=max_staleness)


def look_up(  # noqa: PLR0913 - the parameters of a request
    tables: Mapping[str, LocalTable],
    name: str,
    text: str,
    *,
    now: float,
    max_age: float,
    max_staleness: float | None = None,
) -> dict[str, Any]:
    """Return the row of the key that `text` represents, with its origin and how old the answer may be.

    `now` in seconds since 1970. `max_age` in seconds: if the partition last met its end longer ago, a missing row is
    not certain. `max_staleness` in seconds: if the partition (or any one of a global table) last met its end longer
    ago, no row is returned either. Raise `MistakeError` for an invalid key, the errors of `lookup_errors`, and with
    `max_staleness` the StoreErrors TooStaleError and NotHeldError.
    """
    held = held_table(tables, name)
    key = encoded_key(held.topic, text)
    if max_staleness is not None:
        require_fresh(held.stored, max_staleness, now, require_partitions_of_key(held, text, key))
    found = held.stored.origin(key)
    if found is None:
        partitions = partitions_of_key(held, key)
        require_certain(held, f"key {text}", partitions, now, max_age)
        _require_readable(held, text, key, partitions)
        raise NoSuchKeyError(
            Problem(f"table {name}, key {text}", "requires a row of that key", "no such key", "check the key")
        )
    row, origin = found
    return {
        "table": name,
        "key": text,
        "row": fields_of(held.stored, row),
        **origin_fields(held.stored, origin),
        **rejection_fields(held.stored, key, [origin.partition]),
        **measures(held.state(origin.partition), now),
    }


def held_table(tables: Mapping[str, LocalTable], name: str) -> LocalTable:
    """Return a table by its name; raise NoSuchTableError if there is none."""
    if name not in tables:
        there = ", ".join(tables) or "none"
        raise NoSuchTableError(Problem(f"table {name}", "requires a worker that holds it", there, "ask one of those"))
    return tables[name]


def _require_readable(held: LocalTable, text: str, key: bytes, partitions: Iterable[int]) -> None:
    """Raise an error if the newest record of a key was rejected: the key exists, but its row cannot be read."""
    if (found := rejection(held.stored, key, partitions)) is not None:
        raise (UnreadableStateError if held.role.decided_on else UnreadableRowError)(
            Problem(
                f"table {held.topic.name}, key {text}",
                "requires that its newest record is a row",
                f"a record at offset {found.offset} of partition {found.partition} that was rejected: {found.cause}",
                "publish a row under this key, or declare the row type as the record is written",
            ),
            partition=found.partition,
            offset=found.offset,
            cause=found.cause,
        )
