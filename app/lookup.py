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
from tables.engine import Origin, Phase, State, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

RawFields = dict[str, msgspec.Raw]


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


def look_up(tables: Mapping[str, LocalTable], name: str, text: str, *, now: float, max_age: float) -> dict[str, Any]:
    """Give the row of the key that `text` stands for, with where it comes from and how old the answer may be.

    `now` in seconds since 1970; `max_age` in seconds: when the end of the partition was met longer ago than that, its
    absent keys are not called absent. Raises `MistakeError` for a text that is no key, and the errors above.
    """
    held = tables.get(name)
    if held is None:
        there = ", ".join(tables) or "none"
        raise NoSuchTableError(Problem(f"table {name}", "requires a worker that holds it", there, "ask one of those"))
    key = encoded_key(held.table.topic, text)
    found = held.table.origin(key)
    if found is None:
        asked = f"table {name}, key {text}"
        for doubt, do in _doubts(held, key, now, max_age):
            raise NotSureError(Problem(asked, "requires the partition of the key, caught up", doubt, do))
        raise NoSuchKeyError(Problem(asked, "requires a row of that key", "no such key", "check the key"))
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


def _doubts(held: LocalTable, key: bytes, now: float, max_age: float) -> Iterator[tuple[str, str]]:
    """Say why a key that is not here may yet exist, each with what to do; nothing when it cannot.

    A global table is asked whole: its owner may have placed keys in a way of its own.
    """
    count = held.partition_count
    if not count:
        yield "starting: no broker has told yet how many partitions there are", "ask again"
    elif held.table.held == "partition":
        yield from _doubt(held.table, partition_of(key, count), now, max_age)
    else:
        for partition in range(count):
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
