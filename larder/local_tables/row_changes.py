"""Reports which rows of a table changed, to operators that wait for rows and to clients that watch the table live."""

from __future__ import annotations

from collections.abc import Callable, Sequence

Listener = Callable[[Sequence[bytes]], None]
"""Called with the keys of rows that changed, after they are stored."""

Watch = Callable[[int | None, Sequence[bytes]], None]
"""Called with a partition and the keys of rows that changed in it; None for rows that their topic no longer has."""


class RowChanges:
    """The changes of one table. `watch` gets those of all partitions; it is None while no client watches."""

    def __init__(self) -> None:
        self.watch: Watch | None = None
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def forget_listeners(self) -> None:
        self._listeners.clear()

    def publish(self, partition: int | None, keys: Sequence[bytes]) -> None:
        """Report changes that are stored."""
        if not keys:
            return
        if self.watch is not None:
            self.watch(partition, keys)
        for listener in self._listeners:
            listener(keys)
