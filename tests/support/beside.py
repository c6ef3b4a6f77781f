"""An event loop in a thread of its own: topics are written and read while a test waits for processes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, TypeVar

T = TypeVar("T")


class Beside:
    """Runs coroutines beside the test."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def call(self, work: Coroutine[Any, Any, T], timeout: float = 60) -> T:
        """Run to the end; raises what it raises."""
        return self.spawn(work).result(timeout)

    def spawn(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Begin; the future has its end."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    @contextmanager
    def within(self, context: AbstractAsyncContextManager[T]) -> Iterator[T]:
        """Hold an asynchronous context open beside the block."""
        entered = self.call(context.__aenter__())
        try:
            yield entered
        finally:
            self.call(context.__aexit__(None, None, None))

    def close(self) -> None:
        """Cancel what still runs."""
        self.call(self._cancelled())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _cancelled(self) -> None:
        running = asyncio.all_tasks() - {asyncio.current_task()}
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


@contextmanager
def loop_beside() -> Iterator[Beside]:
    beside = Beside()
    beside._thread.start()
    try:
        yield beside
    finally:
        beside.close()
