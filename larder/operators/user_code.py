"""Code of users that would leave the process, as `sys.exit` does, from inside the event loop.

That would tear the loop down, with no word of why, and a worker could seem to have been told to stop, or hang.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class ExitedError(Exception):
    """A function of a join, or an agent, raised what ends a process."""


@contextmanager
def no_exit() -> Iterator[None]:
    """Raise ExitedError in its place, which ends the worker as any other defect does."""
    try:
        yield
    except (SystemExit, KeyboardInterrupt) as error:
        message = f"a join's function or an agent raised {error!r}, which ends the worker"
        raise ExitedError(message) from error
