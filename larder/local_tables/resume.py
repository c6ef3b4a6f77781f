"""Resumes the partitions of a table, and notes when it has read every row of its topic.

Does what `horizon` decides: resumes at the position, reads the log again over the existing rows, rebuilds, or refuses.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from larder.local_tables.horizon import (
    DELETE_RETENTION,
    LogRange,
    Resumption,
    TableGapError,
    is_late,
    is_whole,
    resumption,
)
from larder.local_tables.messages import gap, missed_deletions, outside
from larder.local_tables.role import TableRole
from larder.local_tables.stores import TableStores
from larder.store.layout import FullReadStage
from larder.store.table import Table

log = logging.getLogger("larder")


class Resumer:
    """Resumes the partitions of one table. `delete_retention`: how long its topic keeps deletions, in seconds."""

    def __init__(self, stored: Table, stores: TableStores, role: TableRole, clock: Callable[[], float]) -> None:
        self.delete_retention = DELETE_RETENTION
        self._stored = stored
        self._stores = stores
        self._gaps_allowed = role.gaps_allowed
        self._clock = clock

    def resume(self, logs: Mapping[int, LogRange]) -> None:
        """Prepare the stores of partitions for further reading; raise TableGapError if rows would be missing.

        A position outside its log leads to a rebuild, which is logged.
        """
        decided = self._decide(logs)
        lost = [partition for partition, how in decided.items() if how is Resumption.REBUILD]
        for partition in lost[:1] if self._stored.held == "global" else lost:
            log.warning("%s", outside(self._name, partition, self._stored.position(partition), logs[partition]))
            self._stores.rebuild(partition)
        for partition, how in decided.items():
            if how is Resumption.READ_AGAIN:
                self._log_read_again(partition)
            if how is not Resumption.GO_ON:
                self._stored.read_again(partition, logs[partition].begin, self._clock())

    def behind(self, partition: int, found: LogRange) -> int:
        """Return how many offsets of its log a partition still has to read."""
        return found.end - self.position(partition, found)

    def position(self, partition: int, found: LogRange) -> int:
        """Return the offset at which reading a partition resumes."""
        return max(self._stored.position(partition), found.begin)

    def is_late(self, partition: int) -> bool:
        """Return whether a partition may have missed deletions meanwhile, so that it must be resumed."""
        read, state = self._stored.last_full_read(partition), self._stored.state(partition)
        if read is not None and read.stage is FullReadStage.READING and not state.is_read:
            # Whether it missed any is decided when it reaches the end; until then it can be used.
            return False
        return is_late(read, state, self._clock(), self.delete_retention)

    def note_end(self, partition: int) -> None:
        """Note whether a full read reached the end in time: it has then found every row of the topic."""
        read = self._stored.last_full_read(partition)
        reading = read is not None and read.stage is FullReadStage.READING
        if reading and self._stored.state(partition).is_read and not self.is_late(partition):
            self._stored.reached_end(partition)

    @property
    def _name(self) -> str:
        return self._stored.topic.name

    def _decide(self, logs: Mapping[int, LogRange]) -> Mapping[int, Resumption]:
        decided = {partition: self._resumption(partition, found) for partition, found in logs.items()}
        if self._stored.held == "global" and Resumption.REBUILD in decided.values():
            # All partitions share the store that is emptied, so each has to be read from its start.
            decided = {
                partition: Resumption.REBUILD if self._is_enough(partition, found) else Resumption.REFUSE
                for partition, found in logs.items()
            }
        for partition, how in decided.items():
            if how is Resumption.REFUSE:
                position, read = self._stored.position(partition), self._stored.last_full_read(partition)
                raise TableGapError(gap(self._name, partition, position, read, logs[partition]))
        return decided

    def _resumption(self, partition: int, found: LogRange) -> Resumption:
        read = self._stored.last_full_read(partition)
        late = is_late(read, self._stored.state(partition), self._clock(), self.delete_retention)
        position = self._stored.position(partition)
        return resumption(position, read, found, late=late, gaps_allowed=self._gaps_allowed)

    def _is_enough(self, partition: int, found: LogRange) -> bool:
        return self._gaps_allowed or is_whole(self._stored.last_full_read(partition), found)

    def _log_read_again(self, partition: int) -> None:
        """Log why a partition is read again; a first read is not logged."""
        read = self._stored.last_full_read(partition)
        if read is not None:
            log.warning("%s", missed_deletions(self._name, partition, read, self.delete_retention))
