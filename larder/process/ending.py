"""Stopping has a deadline. When it passes, the process logs what hangs and exits anyway.

A task that swallows its cancellation, code that blocks the event loop, or a thread that is not a daemon would keep the
process alive: neither an event loop nor an interpreter ends before them. The process would keep its partitions and its
name.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

log = logging.getLogger("larder")

DEADLINE_SECONDS = 12.0
"""Counted from SIGTERM, or from the end of the worker's main task. Stopping takes less than ten seconds in all;
orchestrators wait for thirty."""

EXIT_CODE = 1


class Ending:
    """Ends this process some time after `begin`, unless it has ended before."""

    def __init__(self, seconds: float = DEADLINE_SECONDS) -> None:
        """Prepare inside the running event loop; the process ends `seconds` after `begin`."""
        self.cause: BaseException | None = None
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._begun, self._begins = os.pipe()
        threading.Thread(target=self._end, daemon=True).start()

    def begin(self) -> None:
        """Start the clock, unless it is running. Takes no lock: a signal may interrupt a thread that holds one."""
        os.write(self._begins, b".")

    def _end(self) -> None:
        os.read(self._begun, 1)
        time.sleep(self._seconds)
        hanging = ", ".join(hangs(self._loop)) or "the interpreter"
        log.error("the worker has not stopped within %g s: exiting; still running: %s", self._seconds, hanging)
        if self.cause is not None:
            log.error("it was stopping because of %s", self.cause, exc_info=self.cause.__cause__)
        os._exit(EXIT_CODE)


def told_to_stop(stop: asyncio.Event, ending: Ending) -> None:
    """Have SIGTERM and SIGINT set `stop` and start the clock of `ending`.

    The event loop's own signal handlers run inside it, so code that blocks the loop would block them.
    """
    loop = asyncio.get_running_loop()

    def told(*_: object) -> None:
        ending.begin()
        with suppress(RuntimeError):  # the loop has ended already
            loop.call_soon_threadsafe(stop.set)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, told)


def hangs(loop: asyncio.AbstractEventLoop) -> Iterator[str]:
    """Yield what keeps a process alive: tasks of `loop`, each with the line where it waits, and non-daemon threads."""
    for task in asyncio.all_tasks(loop):
        stack = task.get_stack(limit=1)
        where = f" at {stack[-1].f_code.co_filename}:{stack[-1].f_lineno}" if stack else ""
        yield f"task {getattr(task.get_coro(), '__qualname__', task.get_name())}{where}"
    for thread in threading.enumerate():
        if not thread.daemon and thread is not threading.main_thread():
            yield f"thread {thread.name}"
