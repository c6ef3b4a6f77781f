"""Runs reactions in memory with the functions of the worker."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import TypeAlias

from larder.declaring.compiled.reactions import compile_reaction
from larder.declaring.dead_letters import cause_of
from larder.declaring.operators import Topic
from larder.declaring.reactions import UNKNOWN, Reaction
from larder.store.applying.changes import RowChange
from larder.testing.records import MemoryRecord
from larder.testing.run import MemoryRun
from larder.testing.steps import MemoryStep, open_in_memory
from larder.testing.tables import MemoryTable

log = logging.getLogger("larder")

Event: TypeAlias = tuple[Topic, bytes, bytes]


@open_in_memory.register
def _open(reaction: Reaction, run: MemoryRun) -> MemoryStep | None:
    """Open all reactions on a table with the first of them: if one fails, none emits."""
    together = [each for each in run.service.reactions if each.table.name == reaction.table.name]
    if together[0] is not reaction:
        return None
    return GlobalReactions(together) if reaction.table.held == "global" else MemoryReactions(together, run)


class MemoryReactions(MemoryStep):
    """All reactions on one co-partitioned table."""

    def __init__(self, reactions: Sequence[Reaction], run: MemoryRun) -> None:
        """Start before the first change."""
        topic = reactions[0].table.topic
        self.inputs = {topic: self._take}
        self._run = run
        self._reactions = [(each, compile_reaction(each)) for each in reactions]
        self._rows = MemoryTable(topic)
        self._carried = run.carried(topic.name)

    def _take(self, record: MemoryRecord) -> None:
        if (change := _change(self._rows, record)) is None:
            return
        old = UNKNOWN if change.unread else change.old
        events: list[Event] = [
            (reaction.into[into], key, value)
            for reaction, react in self._reactions
            for into, key, value in react(old, change.new)
        ]
        for into, key, value in events:
            self._run.publish(into, key, value, record.timestamp, self._carried.of(record))


class GlobalReactions(MemoryStep):
    """All reactions on one global table, which emit nothing; failures are logged."""

    def __init__(self, reactions: Sequence[Reaction]) -> None:
        """Start before the first change."""
        topic = reactions[0].table.topic
        self.inputs = {topic: self._take}
        self._reactions = [compile_reaction(each) for each in reactions]
        self._rows = MemoryTable(topic)

    def _take(self, record: MemoryRecord) -> None:
        if (change := _change(self._rows, record)) is None:
            return
        for react in self._reactions:
            try:
                react(UNKNOWN if change.unread else change.old, change.new)
            except ValueError as error:
                name = self._rows.topic.name
                log.warning("table %s: a reaction to offset %d failed: %s", name, record.offset, cause_of(error))


def _change(rows: MemoryTable, record: MemoryRecord) -> RowChange | None:
    """Apply a record and return its change, if any; the table has already dead-lettered an invalid record."""
    with suppress(ValueError):
        return rows.take(record)
    return None
