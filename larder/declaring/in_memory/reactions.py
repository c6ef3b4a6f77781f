"""Reactions in memory: the very functions that the worker uses, called for each change that records make."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from larder.declaring.compiled.reactions import compile_reaction
from larder.declaring.dead_letters import cause_of
from larder.declaring.in_memory.table import MemoryTable

if TYPE_CHECKING:
    from larder.declaring.in_memory.records import MemoryRecord
    from larder.declaring.in_memory.run import MemoryRun
    from larder.declaring.reactions import Reaction
    from larder.declaring.topics import OwnerTopic

log = logging.getLogger("larder")


class _Change(NamedTuple):
    record: MemoryRecord
    old: bytes | None
    new: bytes | None


def run_reactions(run: MemoryRun, reaction: Reaction) -> None:
    """Call a reaction, and all others on its table, for each change; if one fails, none emits, as in a worker."""
    table = reaction.table
    together = [each for each in run.service.reactions if each.table.name == table.name]
    if together[0] is not reaction:
        return
    compiled = [(each, compile_reaction(each)) for each in together]
    for change in _changes(run, table.topic):
        try:
            events = [
                (each.into[into], key, value)
                for each, react in compiled
                for into, key, value in react(change.old, change.new)
            ]
        except ValueError as error:
            if table.held == "global":
                log.warning("table %s: a reaction failed: %s", table.name, cause_of(error))
            else:
                run.park(table.name, change.record, cause_of(error))
            continue
        for into, key, value in events:
            run.publish(into, (key, value))


def _changes(run: MemoryRun, topic: OwnerTopic) -> Iterator[_Change]:
    """Give each change of a row, as its records come one after the other; those that are no rows are dead letters."""
    run.table(topic)
    table = MemoryTable(topic)
    for record in run.log(topic.name):
        old = table.get(record.key)
        with suppress(ValueError, RecursionError):
            table.apply(record.key, record.value)
        if (new := table.get(record.key)) != old:
            yield _Change(record, old, new)
