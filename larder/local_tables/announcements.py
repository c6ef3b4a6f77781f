"""Log lines about a table, each written once for as long as it holds."""

from __future__ import annotations

import logging

from larder.declaring.problems import Problem
from larder.local_tables.messages import diverging
from larder.store.partition_state import Phase, State
from larder.store.records import Applied, Opened

log = logging.getLogger("larder")


class Announcements:
    """What has been logged about one table, by partition."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._phases: dict[int, Phase] = {}
        self._unreadable: set[int] = set()

    def opened(self, opened: Opened, *, again: bool) -> None:
        """Log why a store was emptied, if it was; `again`: it was open before, so known phases are not logged again."""
        if opened.rebuilt is not None:
            log.warning("table %s: rebuilt from the topic: %s", self._topic, opened.rebuilt)
        if not again:
            for partition in opened.partitions:
                self._phases.pop(partition, None)

    def applied(self, applied: Applied) -> None:
        """Log the first revision that is lower than an earlier one."""
        if applied.fell is not None:
            log.warning("%s", diverging(self._topic, applied.fell))

    def phase(self, state: State) -> None:
        """Log a new phase. Measuring a partition again is not a new phase, nor is a return to the last logged one."""
        if state.phase in {Phase.STARTING, self._phases.get(state.partition)}:
            return
        self._phases[state.partition] = state.phase
        log.info(
            "table %s partition %d: %s at %d of %s",
            self._topic, state.partition, state.phase.name.lower().replace("_", " "),
            state.position, "?" if state.end is None else state.end,
        )  # fmt: skip

    def unreadable(self, partition: int, problem: Problem) -> None:
        """Log once that a partition has rows that cannot be read."""
        if partition not in self._unreadable:
            self._unreadable.add(partition)
            log.error("%s", problem)

    def readable(self, partition: int) -> None:
        """Log once that all rows of a partition can be read again."""
        if partition in self._unreadable:
            self._unreadable.remove(partition)
            log.info("table %s partition %d: all rows can be read again", self._topic, partition)
