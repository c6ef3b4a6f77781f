"""On the path of the suite's workers: on SIGUSR1 a worker logs what each of its tasks is waiting for, and the progress
of its lanes, tables and consumer.

Otherwise a worker that hangs would not leave a trace of the reason.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import sys
from types import FrameType
from typing import Any


def _tell(_: int, __: FrameType | None) -> None:
    _tell_tasks()
    for each in gc.get_objects():
        with contextlib.suppress(Exception):  # whatever state an object is in
            if (state := _STATES.get(type(each).__name__, lambda _: None)(each)) is not None:
                print(f"{type(each).__name__} {state}", file=sys.stderr, flush=True)  # noqa: T201


ROOMS = ("worker", "processing", "group", "local_tables", "delivery", "kafka", "producer")
"""The last folder of the files whose tasks are logged."""

_STATES = {
    "Processing": lambda each: f"epoch {each.epoch}, lanes {len(each._lanes)}, cut short {each._cut_short}",
    "Lane": lambda each: (
        f"{each.tp.topic}/{each.tp.partition}: {len(each._batches)} batches, queued {each.queued},"
        f" held {each._held()}, busy {each.handler.busy()}"
    ),
    "State": lambda each: f"{each.table}/{each.partition}: {each.phase.name} at {each.position} of {each.target}",
    "Fetcher": lambda each: f"has {list(each._records)}" if hasattr(each, "_records") else None,
    "Assignment": lambda each: [
        f"{tp.topic}/{tp.partition}: {state._status.name} at {state._position}, paused {state.paused}, lso {state.lso},"
        f" end {state.highwater}"
        for tp, state in each._tp_state.items()
        if each.active
    ],
}


def _tell_tasks() -> None:
    for task in list(asyncio.tasks._all_tasks):
        if not task.done():
            places, waiting = [], task.get_coro()
            while waiting is not None:
                places.append(_place(waiting))
                waiting = _inner(waiting)
            if not any(f" ({room}/" in place for place in places for room in ROOMS):
                continue  # Faust's own
            print(f"task {task.get_name()}: {' > '.join(places)}", file=sys.stderr, flush=True)  # noqa: T201


def _inner(waiting: Any) -> Any:
    found = getattr(waiting, "cr_await", None)
    return getattr(waiting, "gi_yieldfrom", None) if found is None else found


def _place(waiting: Any) -> str:
    frame = getattr(waiting, "cr_frame", None) or getattr(waiting, "gi_frame", None)
    if frame is None:
        return repr(waiting)[:120]
    file = "/".join(frame.f_code.co_filename.rsplit("/", 2)[-2:])
    return f"{frame.f_code.co_qualname} ({file}:{frame.f_lineno})"


signal.signal(signal.SIGUSR1, _tell)
# Drop the packages of the checkout where a copy of them is to run: a worker refuses two of the same name.
sys.path[:] = [folder for folder in sys.path if folder != os.environ.get("FAULTS_INSTEAD_OF")]
