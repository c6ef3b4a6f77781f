"""On the path of the suite's workers: on SIGUSR1 a worker writes to its log what each of its tasks waits for.

Without it, a worker that hangs would take the reason with it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from types import FrameType
from typing import Any


def _tell(_: int, __: FrameType | None) -> None:
    for task in list(asyncio.tasks._all_tasks):
        if not task.done():
            places, waiting = [], task.get_coro()
            while waiting is not None:
                places.append(_place(waiting))
                waiting = _inner(waiting)
            if not any(" (engine/" in place or " (producer/" in place for place in places):
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
# The packages of the checkout, where a copy of them is what is to run: a worker refuses two of one name.
sys.path[:] = [folder for folder in sys.path if folder != os.environ.get("FAULTS_INSTEAD_OF")]
