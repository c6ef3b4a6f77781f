"""Opens the stores of a table for partitions, opens them again for a recreated topic, and empties unusable ones."""

from __future__ import annotations

from collections.abc import Callable, Collection

from larder.local_tables.announcements import Announcements
from larder.store.partition_state import State
from larder.store.table import Table


class TableStores:
    """Opens the stores of one table. `phase_changed` is called with each state whose phase changes."""

    def __init__(self, stored: Table, announcements: Announcements, phase_changed: Callable[[State], None]) -> None:
        self.topic_id: str | None = None
        self._stored = stored
        self._announcements = announcements
        self._phase_changed = phase_changed
        self._subscribed: dict[int, State] = {}

    def open(self, partitions: Collection[int], *, again: bool = False) -> None:
        """Open partitions; the store of another topic is emptied. `again`: they were open just before."""
        for opened in self._stored.open(partitions, self.topic_id):
            self._announcements.opened(opened, again=again)
        for partition in partitions:
            state = self._stored.state(partition)
            if self._subscribed.get(partition) is not state:
                self._subscribed[partition] = state
                state.subscribe(self._phase_changed)

    def open_local(self, partition_count: int) -> None:
        """Open the stores on this disk, before any broker has answered."""
        found = self._local_partitions(partition_count)
        if found:
            self.open(found)
        self._disconnect(found)

    def follow_topic(self, topic_id: str) -> None:
        """Open the open stores again if the topic is another one, whose rows have to be read from the start."""
        if self.topic_id == topic_id:
            return
        self.topic_id = topic_id
        partitions = self._stored.partitions
        if partitions:
            self._stored.close()
            self.open(partitions, again=True)
            self._disconnect(partitions)

    def rebuild(self, partition: int) -> None:
        """Empty the store of a partition; the store of a global table is opened again with all partitions."""
        partitions = self._stored.partitions if self._stored.held == "global" else [partition]
        self._stored.discard(partition)
        self.open(partitions)

    def _disconnect(self, partitions: Collection[int]) -> None:
        for partition in partitions:
            self._stored.state(partition).disconnect()

    def _local_partitions(self, partition_count: int) -> Collection[int]:
        directory = self._stored.directory
        if self._stored.held == "global":
            return range(partition_count) if (directory / "global").is_dir() else ()
        return sorted(int(found.name) for found in directory.glob("*") if found.name.isdigit())
