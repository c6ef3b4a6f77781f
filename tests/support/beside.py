"""Work in a thread of its own: an event loop, or a step again and again, while the test waits for processes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, TypeVar

T = TypeVar("T")


class Beside:
    """Runs coroutines in another thread than the test."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def call(self, work: Coroutine[Any, Any, T], timeout: float = 60) -> T:
        """Run a coroutine to its end, and raise what it raises."""
        return self.spawn(work).result(timeout)

    def spawn(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Start a coroutine, and return a future of its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    @contextmanager
    def within(self, context: AbstractAsyncContextManager[T]) -> Iterator[T]:
        """Keep an asynchronous context open during the block."""
        entered = self.call(context.__aenter__())
        try:
            yield entered
        finally:
            self.call(context.__aexit__(None, None, None))

    def close(self) -> None:
        """Cancel the coroutines that still run."""
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


@contextmanager
def repeated(step: Callable[[], object], every: float = 0.2) -> Iterator[None]:
    """Run a step again and again during the block, with `every` seconds between; afterwards raise what it raised."""
    over = threading.Event()
    errors: list[BaseException] = []

    def repeat() -> None:
        try:
            while not over.wait(every):
                step()
        except BaseException as error:  # noqa: BLE001 - raised below
            errors.append(error)

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    if errors:
        raise errors[0]
