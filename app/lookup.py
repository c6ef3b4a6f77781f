"""One row by its key, from this worker's tables: what is here, how old it is, and when "no such key" may be said.

Decides from the table's states and the time; knows neither HTTP nor Kafka. An absent key is only called absent when
the partition that would hold it is caught up here and fresh. Everything else is "ask again" or "ask elsewhere", told
apart by the class of the error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from agents.engine.partitioning import partition_of
from app.key_texts import encoded_key
from tables.declaring.problems import LarderError, Problem
from tables.engine import Origin, Phase, State, Table, read_token, require_fresh, until_applied

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

RawFields = dict[str, msgspec.Raw]

_UNTOLD = ("starting: no broker has told yet how many partitions there are", "ask again")


class LocalTable(Protocol):
    """A table as a worker holds it."""

    @property
    def table(self) -> Table:
        """The rows."""

    @property
    def partition_count(self) -> int:
        """How many partitions its topic has; 0 while no broker has told it."""


class LookupFailedError(LarderError):
    """A look-up without a row as its answer; `problem` says why."""

    def __init__(self, problem: Problem) -> None:
        """Keep the problem."""
        self.problem = problem
        super().__init__(str(problem))


class NoSuchKeyError(LookupFailedError):
    """There is no row of that key: the partition that would hold it is here, caught up and fresh."""


class NotSureError(LookupFailedError):
    """No row is here, and this worker cannot say that there is none."""


class NoSuchTableError(LookupFailedError):
    """This worker's service has no table of that name."""


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
    held = _held(tables, name)
    partitions = _asked_of(held, text, encoded_key(held.table.topic, text))
    await until_applied(held.table, read_token(after), within, partitions)
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
    held = _held(tables, name)
    key = encoded_key(held.table.topic, text)
    if max_staleness is not None:
        require_fresh(held.table, max_staleness, now, _asked_of(held, text, key))
    found = held.table.origin(key)
    if found is None:
        for doubt, do in _doubts(held, key, now, max_age):
            raise _not_sure(held, text, doubt, do)
        raise NoSuchKeyError(
            Problem(f"table {name}, key {text}", "requires a row of that key", "no such key", "check the key")
        )
    row, origin = found
    return {
        "table": name,
        "key": text,
        "row": _fields(held.table, row),
        **_origin(held.table, origin),
        **_measures(held.table.state(origin.partition), now),
    }


def state_name(phase: Phase) -> str:
    """Give the word for a state, as messages and answers have it."""
    return phase.name.lower().replace("_", " ")


def _held(tables: Mapping[str, LocalTable], name: str) -> LocalTable:
    if name not in tables:
        there = ", ".join(tables) or "none"
        raise NoSuchTableError(Problem(f"table {name}", "requires a worker that holds it", there, "ask one of those"))
    return tables[name]


def _not_sure(held: LocalTable, text: str, found: str, do: str) -> NotSureError:
    asked = f"table {held.table.topic.name}, key {text}"
    return NotSureError(Problem(asked, "requires the partition of the key, caught up", found, do))


def _asked_of(held: LocalTable, text: str, key: bytes) -> list[int]:
    """Give the partitions that may hold a key; raises NotSureError while nobody knows."""
    if not held.partition_count:
        raise _not_sure(held, text, *_UNTOLD)
    return _partitions(held, key)


def _partitions(held: LocalTable, key: bytes) -> list[int]:
    """Give the partitions that may hold a key; a global table is asked whole: its owner may place keys as it likes."""
    count = held.partition_count
    return [partition_of(key, count)] if held.table.held == "partition" else list(range(count))


def _doubts(held: LocalTable, key: bytes, now: float, max_age: float) -> Iterator[tuple[str, str]]:
    """Say why a key that is not here may yet exist, each with what to do; nothing when it cannot."""
    if not held.partition_count:
        yield _UNTOLD
        return
    for partition in _partitions(held, key):
        yield from _doubt(held.table, partition, now, max_age)


def _doubt(table: Table, partition: int, now: float, max_age: float) -> Iterator[tuple[str, str]]:
    if partition not in table.partitions:
        here = ", ".join(map(str, table.partitions)) or "none"
        yield f"partition {partition} not on this worker (here: {here})", "ask the worker that processes it"
        return
    state = table.state(partition)
    age = state.freshness(now)
    if state.phase is not Phase.CAUGHT_UP:
        end = "?" if state.end is None else state.end
        do = "ask the worker that processes it" if state.phase is Phase.STANDBY else "ask again"
        yield f"partition {partition} {state_name(state.phase)}, at {state.position} of {end}", do
    elif age is None or age > max_age:
        met = "never" if age is None else f"{age:.1f} s ago"
        yield f"partition {partition}, whose end was last met {met}", "ask again"


def _fields(table: Table, row: bytes) -> RawFields:
    """Give the row with its owner's fields as they were published, and the defaults of those that were left out."""
    owners = msgspec.json.decode(row, type=RawFields)
    typed = msgspec.json.encode(msgspec.json.decode(row, type=table.topic.row))
    return {**msgspec.json.decode(typed, type=RawFields), **owners}


def _origin(table: Table, origin: Origin) -> dict[str, Any]:
    return {
        "partition": origin.partition,
        "offset": origin.offset,
        "timestamp": origin.timestamp,
        "revision": origin.revision if table.topic.revision else None,
    }


def _measures(state: State, now: float) -> dict[str, Any]:
    freshness = state.freshness(now)
    return {
        "state": state_name(state.phase),
        "position": state.position,
        "end": state.end,
        "lag": state.lag,
        "freshness_s": None if freshness is None else round(freshness, 3),
    }
