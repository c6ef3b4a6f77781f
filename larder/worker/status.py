"""What a worker is doing, as plain values for pages, commands and logs. Read on demand, never stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from larder.counters.counts import Counts
from larder.counters.letter_counts import letter_counts
from larder.declaring.calls import Call
from larder.declaring.operators import LISTS
from larder.declaring.problems import Problem
from larder.local_tables.kept_rows import unreadable_rows
from larder.local_tables.table import LocalTable
from larder.store.partition_state import State
from larder.store.reading.progress import Progress, progress, progress_of
from larder.worker.call_status import CallStatus, call_statuses
from larder.worker.growth_status import copy_offsets, growth_status
from larder.worker.membership import Membership
from larder.worker.runtime import Runtime


def status(runtime: Runtime, phase: str, membership: Membership | None) -> dict[str, Any]:
    """Return the status: rates per second, freshness in seconds. No `membership` until the group is joined."""
    service, counts, tables, now = runtime.service, runtime.counts, runtime.named, runtime.clock()
    taken = {topic: each.records.total() for topic, each in runtime.traffic.taken.items()}
    held_back = () if membership is None else membership.assignments.problems
    return {
        "service": service.name,
        "worker": runtime.options.worker,
        "phase": phase,
        "processed": 0 if membership is None else membership.processing.processed,
        **outcome_lists(counts, waiting(membership), call_statuses(runtime, membership)),
        "dead_letters": letter_counts(counts.causes.counts(), taken),
        "inputs": [] if membership is None else list(_inputs(membership)),
        "held_back": sorted({*held_back, *map(str, _row_problems(tables))}),
        "growth": growth_of(membership, now),
        "tables": [_table(tables[use.name], now) for use in service.tables],
        "partition_counts": {} if membership is None else dict(membership.topics.partition_counts),
    }


def outcome_lists(
    counts: Counts, waits: Mapping[tuple[str, int], int], calls: Mapping[str, CallStatus]
) -> dict[str, Any]:
    """Return the outcomes of the records that each operator took, in one list for each kind of operator."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in LISTS}
    for operator, counted in counts.operators:
        entry = {**operator.summary(), "counts": counted.as_dict()}
        if operator.lets_wait:
            entry["waiting"] = sum(count for (name, _), count in waits.items() if name == operator.name)
        if isinstance(operator, Call):
            entry |= calls[operator.name].as_dict()
        found[operator.listed_as].append(entry)
    return {**found, "rekeyings": [{"name": name, "dropped": each.dropped} for name, each in counts.rekeyings.items()]}


def _row_problems(tables: Mapping[str, LocalTable]) -> Iterator[Problem]:
    """Yield the problems with unreadable or lost rows, which hold inputs back."""
    for table in tables.values():
        for state in table.states:
            if table.role.needs_each_row and table.unreadable(state.partition):
                yield unreadable_rows(table, state.partition)
            if (lost := table.at(state.partition).lost()) is not None:
                yield lost


def growth_of(membership: Membership | None, now: float) -> dict[str, Any] | None:
    """Return where the growth of the service stands; None if it was never scaled, and before there is a group."""
    if membership is None or membership.growth is None:
        return None
    plan, inputs = membership.plan.growth, membership.inputs
    offsets = (
        {}
        if plan is None
        else copy_offsets(
            plan, membership.assignments.copied, inputs.origins, inputs.positions, inputs.ends, inputs.highs
        )
    )
    return growth_status(membership.growth.known.state, plan, offsets, now)


def waiting(membership: Membership | None) -> Mapping[tuple[str, int], int]:
    """Return how many records wait, by join and input partition."""
    if membership is None:
        return {}
    joins = {each.waiting.topic.name: each.operator.name for each in membership.plan.joins if each.waiting is not None}
    kept = [(tp.partition, each) for tp, waiting in membership.assignments.waiting.items() for each in waiting]
    return {(joins[each.topic], partition): len(each) for partition, each in kept}


def _inputs(membership: Membership) -> Iterator[dict[str, Any]]:
    """Yield each input partition; those of replayed records only while there are any."""
    for tp in membership.processing.assigned:
        if (plan := membership.plan.inputs.get(tp.topic)) is not None:
            position, end = membership.inputs.positions.get(tp, 0), membership.inputs.ends.get(tp)
            if plan.replays is not None and position == end:
                continue
            yield {
                "topic": tp.topic,
                "partition": tp.partition,
                "position": position,
                "end": end,
                "lag": None if end is None else max(0, end - position),
            }


def _table(table: LocalTable, now: float) -> dict[str, Any]:
    states, sizes = table.states, table.stored.sizes()
    return {
        "table": table.topic.name,
        "held": table.held,
        "rows": sizes.rows,
        "parked": sizes.rejected,
        "building": table.stored.building,
        "diverging": None if (fell := table.stored.fell) is None else fell.as_dict(),
        "counts": table.counts.as_dict(),
        "progress": _going(progress_of(states, now)),
        "partitions": [_partition(state, now) for state in states],
    }


def _partition(state: State, now: float) -> dict[str, Any]:
    return {
        "partition": state.partition,
        "phase": state.phase.name.lower(),
        "position": state.position,
        "end": state.end,
        "lag": state.lag,
        "freshness_s": state.freshness(now),
        **_going(progress(state, now)),
    }


def _going(going: Progress) -> dict[str, Any]:
    return {"applied": going.rows, "rate": going.rate, "remaining": going.remaining, "expected_s": going.expected}
