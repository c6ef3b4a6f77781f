"""How far each partition of a worker is, and why one may not move: what its health is judged by. Keeps nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from aiokafka.structs import TopicPartition

from larder.declaring.problems import Problem
from larder.local_tables.kept_rows import held_back_by
from larder.local_tables.table import LocalTable
from larder.worker.membership import Membership

FAILING_SECONDS = 45.0
"""For so long after outputs were not acknowledged the broker is the cause: the next attempt has up to 20 s for its
acknowledgements, and 15 s each for what comes before and after them."""


_BEYOND = "held back: the partition was added, and rows are placed by the number of before"


class PartitionUse(NamedTuple):
    """A partition, as an input or as a table: a topic may be both."""

    kind: Literal["input", "table"]
    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.kind} {self.topic}, partition {self.partition}"


class Standing(NamedTuple):
    """A partition's next offset, and its end if that is known; `excuse` says why it may not move.

    `high` is the end of all records: those after `end` lie in an open transaction, or behind one.
    """

    place: PartitionUse
    position: int
    end: int | None
    excuse: str | None
    high: int = 0


class Vitals(NamedTuple):
    """What the worker does, whether its broker `answers`, and which tables were caught up since it started.

    `joined`: the group, which has given it its partitions, or none; true where there is no group to join.
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
) -> Vitals:
    """`now` in seconds since the epoch; `answers`: the broker does. No membership: not yet, or never.

    `waiting`: partitions that wait for something outside of this worker, and for what.
    """
    known = {name: table.was_caught_up or _has_none(table, membership) for name, table in tables.items()}
    joined = doing == "running" if membership is None else membership.joined
    failing = None if membership is None else _failing(membership, now)
    inputs = () if membership is None else _inputs(membership, tables, failing)
    partitions = (*inputs, *_tables(tables, failing))
    return Vitals(doing, answers, joined, known, tuple(_excused(each, waiting.get(each.place)) for each in partitions))


def _excused(standing: Standing, problem: Problem | None) -> Standing:
    if problem is None or standing.excuse is not None:
        return standing
    return standing._replace(excuse=f"waits: {problem}", end=max(standing.end or 0, standing.high))


def _has_none(table: LocalTable, membership: Membership | None) -> bool:
    """Other workers have all partitions of a co-partitioned table."""
    joined = membership is not None and membership.joined
    return joined and table.held == "partition" and not table.partitions


def _failing(membership: Membership, now: float) -> str | None:
    last = membership.inputs.unacknowledged
    if last is None or now - last.at > FAILING_SECONDS:
        return None
    return f"outputs were not acknowledged {now - last.at:.0f} s ago, which is tried again: {last.error}"


def _inputs(membership: Membership, tables: Mapping[str, LocalTable], failing: str | None) -> Iterator[Standing]:
    held = set(membership.processing.held_back())
    for tp in membership.processing.assigned:
        if tp.topic in membership.plan.inputs:
            excuse = failing
            if (problem := membership.assignments.held_back.get(tp)) is not None:
                excuse = f"held back: {problem}"
            elif tp in held:
                excuse = _unreadable(tp, membership, tables) or _lost(tp, membership, tables) or _held_back(tp, tables)
            position, end = membership.inputs.positions.get(tp, 0), membership.inputs.ends.get(tp)
            yield Standing(PartitionUse("input", *tp), position, end, excuse, membership.inputs.highs.get(tp, 0))


def _unreadable(tp: TopicPartition, membership: Membership, tables: Mapping[str, LocalTable]) -> str | None:
    return held_back_by([tables[name] for name in membership.plan.needed_whole(tp.topic)], tp.partition)


def _lost(tp: TopicPartition, membership: Membership, tables: Mapping[str, LocalTable]) -> str | None:
    read = [tables[name].at(tp.partition) for name in sorted(membership.plan.tables_of(tp.topic))]
    lost = [problem for table in read if (problem := table.lost()) is not None]
    return f"held back: {'; '.join(map(str, lost))}" if lost else None


def _held_back(tp: TopicPartition, tables: Mapping[str, LocalTable]) -> str:
    behind = [name for name, table in tables.items() if not table.at(tp.partition).caught_up()]
    return f"held back until what it is joined with is caught up ({', '.join(behind) or 'what waits is being read'})"


def _tables(tables: Mapping[str, LocalTable], failing: str | None) -> Iterator[Standing]:
    for name, table in tables.items():
        # What the group reads is read again after a failure, and stands still as long as that lasts.
        passing = failing if table.held == "partition" else None
        for state in table.states:
            excuse = _BEYOND if table.is_beyond(state.partition) else passing
            high = table.high(state.partition)
            yield Standing(PartitionUse("table", name, state.partition), state.position, state.end, excuse, high)
