"""The position of each partition of a worker, and why one may not move: the basis of its health. Keeps no state."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Literal, NamedTuple

from aiokafka.structs import TopicPartition

from larder.declaring.problems import Problem
from larder.local_tables.kept_rows import held_back_by
from larder.local_tables.table import LocalTable
from larder.worker.membership import Membership

FAILING_SECONDS = 45.0
"""The broker is blamed for this long after outputs were not acknowledged: the next attempt may wait 20 s for its
acknowledgements, and 15 s each before and after them."""


_BEYOND = "held back: the partition was added, and rows are placed by the previous partition count"


class PartitionUse(NamedTuple):
    """A partition, as an input or as a table. A topic may be both."""

    kind: Literal["input", "table"]
    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.kind} {self.topic}, partition {self.partition}"


class Standing(NamedTuple):
    """A partition's next offset, and its end if known; `excuse` is the reason why it may not move.

    `high` is the end of all records. Those after `end` belong to an open transaction, or follow one.
    """

    place: PartitionUse
    position: int
    end: int | None
    excuse: str | None
    high: int = 0


class Vitals(NamedTuple):
    """What the worker is doing, whether its broker `answers`, and which tables have caught up since it started.

    `joined` is true once the group has made an assignment, even an empty one, or if there is no group to join.
    """

    doing: str
    answers: bool
    joined: bool
    tables: Mapping[str, bool]
    partitions: tuple[Standing, ...]


def vitals(
    doing: str,
    tables: Mapping[str, LocalTable],
    membership: Membership | None,
    now: float,
    *,
    answers: bool,
    waiting: Mapping[PartitionUse, Problem],
    asked: Collection[LocalTable],
) -> Vitals:
    """Return the vitals; `now` is in seconds since the epoch, and `answers` says whether the broker does.

    `membership` is None until the group is joined, and always if there is none. `waiting` has the partitions that wait
    for something outside this worker, with the reason. `asked` has the tables from which lookups are answered: while a
    service is being scaled, others are read as well.
    """
    known = {
        name: table.was_caught_up or _has_none(table, membership) for name, table in tables.items() if table in asked
    }
    joined = doing == "running" if membership is None else membership.joined
    failing = None if membership is None else _failing(membership, now)
    inputs = () if membership is None else _inputs(membership, tables, failing)
    held_back = {} if membership is None else membership.assignments.held_back
    partitions = (*inputs, *_tables(tables, failing, held_back))
    return Vitals(doing, answers, joined, known, tuple(_excused(each, waiting.get(each.place)) for each in partitions))


def _excused(standing: Standing, problem: Problem | None) -> Standing:
    if problem is None or standing.excuse is not None:
        return standing
    return standing._replace(excuse=f"waits: {problem}", end=max(standing.end or 0, standing.high))


def _has_none(table: LocalTable, membership: Membership | None) -> bool:
    """Return whether other workers have all partitions of a co-partitioned table."""
    joined = membership is not None and membership.joined
    return joined and table.held == "partition" and not table.partitions


def _failing(membership: Membership, now: float) -> str | None:
    last = membership.inputs.unacknowledged
    if last is None or now - last.at > FAILING_SECONDS:
        return None
    return f"outputs were not acknowledged {now - last.at:.0f} s ago and are being retried: {last.error}"


def _inputs(membership: Membership, tables: Mapping[str, LocalTable], failing: str | None) -> Iterator[Standing]:
    held, full = set(membership.processing.held_back()), _full(membership)
    for tp in membership.processing.assigned:
        if tp.topic in membership.plan.inputs:
            excuse = failing
            if (problem := membership.assignments.held_back.get(tp)) is not None:
                excuse = f"held back: {problem}"
            elif tp in held:
                excuse = _unreadable(tp, membership, tables) or _lost(tp, membership, tables) or _held_back(tp, tables)
            elif tp in full:
                excuse = f"as many calls of {full[tp]} wait as at_most allows"
            position, end = membership.inputs.positions.get(tp, 0), membership.inputs.ends.get(tp)
            yield Standing(PartitionUse("input", *tp), position, end, excuse, membership.inputs.highs.get(tp, 0))


def _full(membership: Membership) -> dict[TopicPartition, str]:
    """Return the partitions whose events wait until fewer calls do, with the name of the call."""
    calls = membership.assignments.calls
    return {each.events: name for (name, _), each in calls.items() if each.at_most()}


def _unreadable(tp: TopicPartition, membership: Membership, tables: Mapping[str, LocalTable]) -> str | None:
    return held_back_by([tables[name] for name in membership.plan.needed_whole(tp.topic)], tp.partition)


def _lost(tp: TopicPartition, membership: Membership, tables: Mapping[str, LocalTable]) -> str | None:
    read = [tables[name].at(tp.partition) for name in sorted(membership.plan.tables_of(tp.topic))]
    lost = [problem for table in read if (problem := table.lost()) is not None]
    return f"held back: {'; '.join(map(str, lost))}" if lost else None


def _held_back(tp: TopicPartition, tables: Mapping[str, LocalTable]) -> str:
    behind = [name for name, table in tables.items() if not table.at(tp.partition).caught_up()]
    return f"held back until its tables have caught up ({', '.join(behind) or 'waiting records are being read'})"


def _tables(
    tables: Mapping[str, LocalTable], failing: str | None, held_back: Mapping[TopicPartition, Problem]
) -> Iterator[Standing]:
    for name, table in tables.items():
        # After a failure the group's partitions are read again, and stall until it is over.
        passing = failing if table.held == "partition" else None
        for state in table.states:
            excuse = _BEYOND if table.is_beyond(state.partition) else passing
            if table.held == "partition" and (problem := held_back.get(TopicPartition(name, state.partition))):
                # An input that is read as a table as well: one lane does both.
                excuse = f"held back: {problem}"
            high = table.high(state.partition)
            yield Standing(PartitionUse("table", name, state.partition), state.position, state.end, excuse, high)
