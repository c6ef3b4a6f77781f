"""Troubles with calls, each once for all workers that have it. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from larder.observability.conditions import CallCondition, FullCalls, HangingCalls, OpenBreaker, call_conditions
from larder.pages import totals
from larder.pages.trouble import Trouble
from larder.pages.wording import call_address, listed, number, several

Data = Mapping[str, Any]


def call_troubles(services: Data) -> Iterator[Trouble]:
    """Yield what is wrong with the calls of a service."""
    found: defaultdict[tuple[type[CallCondition], str], list[tuple[str, CallCondition]]] = defaultdict(list)
    for status in totals.statuses(services):
        for condition in call_conditions(status):
            found[type(condition), condition.call].append((status["worker"], condition))
    for (_, call), told in found.items():
        what, do = _said(call, [worker for worker, _ in told], [condition for _, condition in told])
        yield Trouble(told[0][1].severity, what, do, call_address(call), "Calls")


def _said(call: str, workers: Sequence[str], conditions: Sequence[CallCondition]) -> tuple[str, str]:
    """Return what is wrong, and what to do."""
    on = f"{several(workers, 'worker')} {listed(workers)}"
    match conditions[0]:
        case OpenBreaker():
            waiting = sum(each.waiting for each in conditions if isinstance(each, OpenBreaker))
            what = f"What {call} calls is down: {on} {several(workers, 'makes', 'make')} only trial calls"
            return what, f"{number(waiting)} wait. They go on by themselves once one succeeds"
        case HangingCalls():
            count = sum(each.hanging for each in conditions if isinstance(each, HangingCalls))
            what = f"{number(count)} {several(count, 'function')} of {call} on {on} {several(count, 'does', 'do')}"
            do = "Each keeps a place among those that run at once. Give what the function waits for a timeout"
            return f"{what} not end though {several(count, 'its', 'their')} time is over", do
        case FullCalls():
            full = sorted({part for each in conditions if isinstance(each, FullCalls) for part in each.partitions})
            what = f"As many calls of {call} as may wait do so in {several(full, 'partition')} {listed(full)}"
            return what, "Their events wait in their topic until calls are done or given up; nothing is lost"
