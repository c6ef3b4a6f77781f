"""Guards against user code that ends the process from inside the event loop, as `sys.exit` does.

That would tear down the loop without an explanation. The worker would hang, or seem to have been stopped on request.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class ExitedError(Exception):
    """A join's function or an agent raised an exception that ends the process."""


@contextmanager
def no_exit() -> Iterator[None]:
    """Raise ExitedError instead, which ends the worker as any other bug does."""
    try:
        yield
    except (SystemExit, KeyboardInterrupt) as error:
        message = f"a join's function or an agent raised {error!r}, which ends the worker"
        raise ExitedError(message) from error
