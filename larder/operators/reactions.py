"""Reactions: users' functions that run on changes of a table's rows.

On a co-partitioned table, the emitted events and the record's offset are committed in one transaction, and the row is
stored afterwards. So the store is never ahead of the committed offsets. An uncommitted change is detected again, and a
committed one is stored without another reaction.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import NamedTuple

from larder.counters.operator_counts import ReactionCounts
from larder.declaring.dead_letters import cause_of
from larder.declaring.events import Emitted
from larder.declaring.one_form import in_one_form
from larder.declaring.reactions import UNKNOWN, Old, counted_reactions
from larder.declaring.records import Record
from larder.delivery.output import Output
from larder.local_tables.table import LocalTable
from larder.operators.context import PartitionContext
from larder.operators.emitted_events import EmittedEvents
from larder.operators.user_code import no_exit
from larder.store.applying.changes import RowChange, changes
from larder.store.records import Rejected

log = logging.getLogger("larder")

React = Callable[[Old, bytes | None], Sequence[Emitted]]

UNSTORED_ROWS = 50_000
"""How many rows may wait for their transaction before processing pauses."""


class Reacting(NamedTuple):
    """A compiled reaction and the topics of its `into`."""

    react: React
    outputs: Sequence[Output]


class Begun(NamedTuple):
    """The offset at which reacting to a partition begins, and the end of the topic at that time."""

    offset: int
    end: int


class _Unstored(NamedTuple):
    """The row of a key that will be stored after a batch's transaction; `unread`: its newest record is not a row."""

    batch: int
    stored: bytes | None
    unread: bool


class ReactingHandler:
    """A partition of a co-partitioned table with reactions."""

    def __init__(
        self,
        at: PartitionContext,
        reactions: Sequence[Reacting],
        begun: Begun,
    ) -> None:
        self._tp = at.tp
        self._counts = at.counts.under(counted_reactions(at.tp.topic), ReactionCounts)
        self._table = at.table
        self._reactions = reactions
        self._begun = begun
        self._dead_letters = at.dead_letters()
        self._delivery = at.delivery
        self._carried = at.carried()
        self._events = EmittedEvents(at.delivery)
        self._next = at.table.position(at.tp.partition)
        self._complete = True
        self._batch = 0
        self._unstored: dict[bytes, _Unstored] = {}

    def busy(self) -> bool:
        return len(self._unstored) >= UNSTORED_ROWS

    def process(self, records: Sequence[Record], position: int) -> None:
        records = in_one_form(records, self._table.topic.key_codec)
        before = [record for record in records if record.offset < self._begun.offset]
        if before or position <= self._begun.offset:
            self._catch_up(before, min(position, self._begun.offset))
        if position > self._begun.offset:
            self._react(records[len(before) :], position)

    def _catch_up(self, records: Sequence[Record], position: int) -> None:
        """Store rows that have had their reactions. If offsets are missing, compaction may have removed old rows."""
        for record in records:
            self._complete = self._complete and record.offset <= self._next
            self._next = max(self._next, record.offset + 1)
        self._complete = self._complete and self._next >= position
        self._store(records, position)

    def _react(self, records: Sequence[Record], position: int) -> None:
        partition, shard = self._tp.partition, self._table.stored.shard(self._tp.partition)
        misplaced = self._table.misplaced(partition, records)
        elsewhere = {each.record.offset for each in misplaced}
        at_home = [record for record in records if record.offset not in elsewhere]
        known = shard.stored_many([record.key for record in at_home if record.key is not None])
        unread = shard.unreadable.among(partition, list(known))
        for key in known.keys() & self._unstored.keys():
            known[key] = self._unstored[key].stored
            (unread.add if self._unstored[key].unread else unread.discard)(key)
        for each in [*misplaced, *changes(at_home, known, unread, partition, shard.shape)]:
            if isinstance(each, Rejected):
                self._counts.parked += 1
                self._dead_letters.add_rejected(each.record, each.cause)
            else:
                self._react_to(each)
        self._events.flush()
        self._batch += 1
        self._unstored |= {key: _Unstored(self._batch, stored, key in unread) for key, stored in known.items()}
        delivery = self._delivery
        delivery.done(self._tp, position)
        delivery.unit.afterwards.append(partial(self._stored, self._batch, known, records, position))

    def _react_to(self, change: RowChange) -> None:
        self._counts.changes += 1
        taken = change.old is None and not self._complete and change.record.offset < self._begun.end
        try:
            events = [
                (reaction.outputs[into], key, value)
                for reaction in self._reactions
                for into, key, value in _react(reaction, UNKNOWN if taken or change.unread else change.old, change.new)
            ]
            self._events.check(events, change.record.timestamp)
        except ValueError as error:
            self._counts.parked += 1
            self._dead_letters.add(change.record, cause_of(error))
        else:
            self._events.collect(events, change.record.timestamp, self._carried.of(change.record))
            self._counts.emitted += len(events)

    def _stored(self, batch: int, keys: Iterable[bytes], records: Sequence[Record], position: int) -> None:
        """Store the rows of a batch whose transaction is committed."""
        self._store(records, position)
        for key in keys:
            if (last := self._unstored.get(key)) is not None and last.batch == batch:
                del self._unstored[key]

    def _store(self, records: Sequence[Record], position: int) -> None:
        rejected = self._table.apply(self._tp.partition, records, position)
        self._table.published(self._tp.partition, [each.record.offset for each in rejected])


class GlobalReacting:
    """Reacts to a global table in this worker before the rows are stored, and so once more after a crash."""

    def __init__(self, table: LocalTable, reactions: Sequence[Reacting], counts: ReactionCounts) -> None:
        self._table = table
        self._reactions = reactions
        self._counts = counts

    def __call__(self, partition: int, records: Sequence[Record]) -> None:
        shard = self._table.stored.shard(partition)
        fresh = [record for record in records if record.offset >= shard.marks[partition].position]
        known = shard.stored_many([record.key for record in fresh if record.key is not None])
        unread = shard.unreadable.among(partition, list(known))
        for each in changes(fresh, known, unread, partition, shard.shape):
            if isinstance(each, RowChange):
                self._react_to(each, partition)

    def _react_to(self, change: RowChange, partition: int) -> None:
        self._counts.changes += 1
        for reaction in self._reactions:
            try:
                _react(reaction, UNKNOWN if change.unread else change.old, change.new)
            except ValueError as error:
                where = f"offset {change.record.offset} of partition {partition}"
                log.warning("table %s: a reaction to %s failed: %s", self._table.topic.name, where, cause_of(error))


@no_exit()
def _react(reaction: Reacting, old: Old, new: bytes | None) -> Sequence[Emitted]:
    return reaction.react(old, new)
