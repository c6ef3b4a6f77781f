"""One row by its key, from this worker's tables: what is here, how old it is, and when "no such key" may be said.

Decides from the table's states and the time; knows neither HTTP nor Kafka. An absent key is only called absent when
the partition that would hold it is caught up here and fresh. Everything else is "ask again" or "ask elsewhere", told
apart by the class of the error.
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from larder.declaring.coordinates import Coordinates
from larder.declaring.decoding import decoder
from larder.declaring.problems import LarderError, Problem
from larder.kafka.partitioner import partition_of
from larder.queries.key_texts import encoded_key
from larder.store import Origin, Phase, State, Table, progress, read_token, require_fresh, until_applied

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from larder import Row
    from larder.local_tables.table import LocalTable

RawFields = dict[str, msgspec.Raw]

LONGEST_RETRY = 30
"""Seconds: an expected end that is farther away may come nearer, so that it is worth asking again before."""


class LookupFailedError(LarderError):
    """A look-up without a row as its answer; `problem` says why, `extras` what is known of the partition.

    `retry_after` in seconds: when it is worth asking again; None where nothing is known.
    """

    kind: ClassVar[str] = "recovering"

    def __init__(self, problem: Problem, *, retry_after: int | None = None, **extras: Any) -> None:
        """Keep the problem."""
        self.problem = problem
        self.extras = extras
        self.retry_after = retry_after
        super().__init__(str(problem))


class NoSuchKeyError(LookupFailedError):
    """There is no row of that key: the partition that would hold it is here, caught up and fresh."""

    kind = "no-such-key"


class UnreadableRowError(LookupFailedError):
    """There is no row of that key here, since its newest record was rejected."""

    kind = "unreadable-row"


class UnreadableStateError(LookupFailedError):
    """The same of a state that the service decides on: it has a row, which this version cannot read."""

    kind = "unreadable-state"


class NoSuchTableError(LookupFailedError):
    """This worker's service has no table of that name."""

    kind = "no-such-table"


class NotSureError(LookupFailedError):
    """No row is here, and this worker cannot say that there is none: it does not know yet."""


class NotHereError(NotSureError):
    """Another worker processes the partition of the key."""

    kind = "not-here"


class UnservedError(NotSureError):
    """The worker that processes the partition of the key cannot be reached, and nobody stands by for it."""

    kind = "unserved"


class TooBusyError(LookupFailedError):
    """So much is asked of this worker already that it does not begin with more."""

    kind = "too-busy"


async def look_up_after(  # noqa: PLR0913 - each is something that a reader may ask for
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
    """As `look_up`, with the write in it that was answered with the token `after`; waits up to `within` seconds.

    A token counts for the partition that would hold the key, and for a global table as a whole. Raises what `look_up`
    does, and StoreErrors: InvalidTokenError, OtherTopicError, NotHeldError, BehindError.
    """
    held = held_table(tables, name)
    partitions = _asked_of(held, text, encoded_key(held.topic, text))
    await until_applied(held.stored, read_token(after), within, partitions)
    return look_up(tables, name, text, now=clock(), max_age=max_age, max_staleness=max_staleness)


def look_up(  # noqa: PLR0913 - each is something that a reader may ask for
    tables: Mapping[str, LocalTable],
    name: str,
    text: str,
    *,
    now: float,
    max_age: float,
    max_staleness: float | None = None,
) -> dict[str, Any]:
    """Give the row of the key that `text` stands for, with where it comes from and how old the answer may be.

    `now` in seconds since 1970; `max_age` in seconds: when the end of the partition was met longer ago than that, its
    absent keys are not called absent. With `max_staleness`, in seconds, no row is given either then: of the partition
    that would hold the key, or of any one of a global table. Raises `MistakeError` for a text that is no key, the
    errors above, and the StoreErrors TooStaleError and NotHeldError where `max_staleness` is given.
    """
    held = held_table(tables, name)
    key = encoded_key(held.topic, text)
    if max_staleness is not None:
        require_fresh(held.stored, max_staleness, now, _asked_of(held, text, key))
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
        **told_origin(held.stored, origin),
        **told_rejection(held.stored, key, [origin.partition]),
        **measures(held.state(origin.partition), now),
    }


def rejection(table: Table, key: bytes, partitions: Iterable[int]) -> Rejection | None:
    """Give the newest record of a key where that was rejected: a row of the key, if there is one, is older."""
    for partition in partitions:
        if (found := table.shard(partition).unreadable.of(partition, key)) is not None:
            at = Coordinates(table.topic.name, partition, found.offset)
            return Rejection(str(at), partition, found.offset, found.cause)
    return None


def told_rejection(table: Table, key: bytes, partitions: Iterable[int]) -> dict[str, Any]:
    """Say the same beside a row, or in its place; nothing where the newest record was not rejected."""
    found = rejection(table, key, partitions)
    return {} if found is None else {"rejected": msgspec.structs.asdict(found)}


def _require_readable(held: LocalTable, text: str, key: bytes, partitions: Iterable[int]) -> None:
    """Raise where the newest record of a key was rejected: there is something, which is no row."""
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


class Rejection(msgspec.Struct):
    """A record that is no row; `at` is its topic, partition and offset, the name of its dead letter if it has one."""

    at: str
    partition: int
    offset: int
    cause: str


class _Told(msgspec.Struct):
    """A row as `look_up` tells it, with the worker's name."""

    table: str
    key: str
    row: msgspec.Raw | RawFields
    partition: int
    offset: int
    timestamp: int
    revision: int | None
    state: str
    position: int
    end: int | None
    lag: int | None
    freshness_s: float | None
    worker: str
    rejected: Rejection | msgspec.UnsetType = msgspec.UNSET


_encode = msgspec.json.Encoder().encode


def told_row(  # noqa: PLR0913, PLR0917 - what an answer shows
    held: LocalTable, text: str, key: bytes, row: bytes, origin: Origin, now: float, worker: str
) -> bytes:
    """Give what `look_up` gives of a row that was found, as JSON, without taking it apart where that is not needed."""
    table = held.stored
    state = table.state(origin.partition)
    freshness = state.freshness(now)
    return _encode(
        _Told(
            table.topic.name,
            text,
            raw_row(table, row),
            origin.partition,
            origin.offset,
            origin.timestamp,
            origin.revision if table.topic.revision else None,
            _STATE_NAMES[state.phase],
            state.position,
            state.end,
            state.lag,
            None if freshness is None else round(freshness, 3),
            worker,
            rejection(table, key, [origin.partition]) or msgspec.UNSET,
        )
    )


_STATE_NAMES = {phase: phase.name.lower().replace("_", " ") for phase in Phase}


def state_name(phase: Phase) -> str:
    """Give the word for a state, as messages and answers have it."""
    return _STATE_NAMES[phase]


def held_table(tables: Mapping[str, LocalTable], name: str) -> LocalTable:
    """Give a table by its name; raises NoSuchTableError."""
    if name not in tables:
        there = ", ".join(tables) or "none"
        raise NoSuchTableError(Problem(f"table {name}", "requires a worker that holds it", there, "ask one of those"))
    return tables[name]


def _asked_of(held: LocalTable, text: str, key: bytes) -> list[int]:
    """Give the partitions that may hold a key; raises NotSureError while nobody knows."""
    if not held.partition_count:
        raise untold(held, f"key {text}")
    return partitions_of_key(held, key)


def partitions_of_key(held: LocalTable, key: bytes) -> list[int]:
    """Give the partitions that may hold a key; a global table is asked whole: its owner may place keys as it likes."""
    count = held.partition_count
    return [partition_of(key, count)] if held.held == "partition" and count else list(range(count))


def untold(held: LocalTable, asked: str) -> NotSureError:
    """Say that nobody knows where a key lies: no broker has told."""
    found = "starting: no broker has told yet how many partitions there are"
    return NotSureError(_uncertain(held.stored, asked, found, "ask again"), state="starting")


def require_certain(held: LocalTable, asked: str, partitions: Iterable[int], now: float, max_age: float) -> None:
    """Raise why what is not here may yet exist: NotSureError, or NotHereError; nothing when it cannot."""
    if not held.partition_count:
        raise untold(held, asked)
    for partition in partitions:
        if (doubt := _doubt(held.stored, asked, partition, now, max_age)) is not None:
            raise doubt


def _doubt(table: Table, asked: str, partition: int, now: float, max_age: float) -> NotSureError | None:
    if partition not in table.partitions:
        return not_here(table, asked, partition)
    state = table.state(partition)
    age = state.freshness(now)
    if state.phase is Phase.CAUGHT_UP and age is not None and age <= max_age:
        return None
    if state.phase is Phase.CAUGHT_UP:
        met = "never" if age is None else f"{age:.1f} s ago"
        return recovering(table, asked, partition, now, f"partition {partition}, whose end was last met {met}")
    end = "?" if state.end is None else state.end
    found = f"partition {partition} {state_name(state.phase)}, at {state.position} of {end}"
    if state.stands_by:
        do = "ask the worker that processes it"
        return NotHereError(_uncertain(table, asked, found, do), partition=partition, **measures(state, now))
    return recovering(table, asked, partition, now, found)


def not_here(table: Table, asked: str, partition: int) -> NotHereError:
    """Say that a partition is not on this worker."""
    here = ", ".join(map(str, table.partitions)) or "none"
    found, do = f"partition {partition} not on this worker (here: {here})", "ask the worker that processes it"
    return NotHereError(_uncertain(table, asked, found, do), partition=partition, state="not here")


def recovering(table: Table, asked: str, partition: int, now: float, found: str) -> NotSureError:
    """Say that a partition that is here is not far enough, and when it will be."""
    state = table.state(partition)
    expected = progress(state, now).expected
    known = measures(state, now) | {"expected_end_s": None if expected is None else round(expected, 1)}
    retry_after = None if expected is None else min(LONGEST_RETRY, max(1, math.ceil(expected)))
    return NotSureError(
        _uncertain(table, asked, found, "ask again"), retry_after=retry_after, partition=partition, **known
    )


def _uncertain(table: Table, asked: str, found: str, do: str) -> Problem:
    return Problem(f"table {table.topic.name}, {asked}", "requires the partition, caught up", found, do)


def fields_of(table: Table, row: bytes) -> RawFields:
    """Give the row with its owner's fields as they were published, and the defaults of those that were left out."""
    owners = _decode_fields(row)
    if owners.keys() >= field_names(table.topic.row):
        return owners
    typed = msgspec.json.encode(decoder(table.topic.row)(row))
    return {**msgspec.json.decode(typed, type=RawFields), **owners}


def raw_row(table: Table, row: bytes) -> msgspec.Raw | RawFields:
    """Give what `fields_of` gives, as it was published if nothing was left out."""
    if _decode_fields(row).keys() >= field_names(table.topic.row):
        return msgspec.Raw(row)
    return fields_of(table, row)


_decode_fields = msgspec.json.Decoder(RawFields).decode


@cache
def field_names(row: type[Row]) -> frozenset[str]:
    """Give the names that the fields of a type of rows have in JSON."""
    tag = row.__struct_config__.tag_field
    names = {field.encode_name for field in msgspec.structs.fields(row)}
    return frozenset(names if tag is None else {*names, tag})


def told_origin(table: Table, origin: Origin) -> dict[str, Any]:
    """Say where a row comes from."""
    return {
        "partition": origin.partition,
        "offset": origin.offset,
        "timestamp": origin.timestamp,
        "revision": origin.revision if table.topic.revision else None,
    }


def measures(state: State, now: float) -> dict[str, Any]:
    """Say how far a partition is."""
    freshness = state.freshness(now)
    return {
        "state": state_name(state.phase),
        "position": state.position,
        "end": state.end,
        "lag": state.lag,
        "freshness_s": None if freshness is None else round(freshness, 3),
    }
