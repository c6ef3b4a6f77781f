"""A table as a worker keeps it: it applies batches, measures its progress, and reports which rows changed.

Connects the store (`larder.store`), which does not know Kafka, with what is fetched.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from larder.counters.cause_log import CauseLog
from larder.counters.table_counts import TableCounts
from larder.counters.traffic import Taken
from larder.declaring.one_form import in_one_form
from larder.declaring.records import Record
from larder.declaring.topics import OwnerTopic
from larder.kafka.batch_consumer import ObservedEnd
from larder.local_tables.announcements import Announcements
from larder.local_tables.end_tracker import EndTracker, Hop
from larder.local_tables.horizon import LogRange
from larder.local_tables.lost_rows import LostRows
from larder.local_tables.misplaced import foreign, misplaced
from larder.local_tables.partition_view import PartitionView
from larder.local_tables.resume import Resumer
from larder.local_tables.role import TableRole
from larder.local_tables.row_changes import RowChanges
from larder.local_tables.stores import TableStores
from larder.store.partition_state import Phase, State
from larder.store.records import Rejected, RejectedRecord
from larder.store.shard import Shard
from larder.store.table import Held, Table

FAR_BEHIND_RECORDS = 50_000
"""A store that is further behind is written without RocksDB's log until it has caught up."""


class LocalTable:
    """One table of the service, global or co-partitioned. Read its rows from `stored`.

    `partition_count` is the number of partitions over which its rows are spread, 0 until a broker has reported it. It
    is the topic's number, or the previous one if others depend on that.

    `was_caught_up`: since the worker started, all open partitions have been caught up at the same time.
    """

    def __init__(
        self,
        stored: Table,
        role: TableRole,
        patience: float,
        clock: Callable[[], float],
        topic: OwnerTopic | None = None,
    ) -> None:
        """`patience` in seconds: without a report for this long, the broker counts as unreachable.

        `topic` is the declared topic of a table whose rows are read from an internal one, that of `stored`.
        """
        self.topic = topic or stored.topic
        self.stored = stored
        self.role = role
        self.partition_count = 0
        self.was_caught_up = False
        self.counts = TableCounts()
        self.taken = Taken()
        self.causes = CauseLog(f"table {stored.topic.name}", clock)
        self.changes = RowChanges()
        self.announcements = Announcements(stored.topic.name)
        self.react: Callable[[int, Sequence[Record]], None] | None = None
        """Called with the records of a batch before they are stored."""
        self._losses = LostRows(stored, role)
        self._ends = EndTracker(stored, patience, clock, mirrored=role.mirrored)
        self._stores = TableStores(stored, self.announcements, self._phase_changed)
        self._resumer = Resumer(stored, self._stores, role, clock)

    @property
    def topic_id(self) -> str | None:
        """The id of its topic; None while no broker has reported it."""
        return self._stores.topic_id

    @property
    def held(self) -> Held:
        return self.stored.held

    @property
    def partitions(self) -> list[int]:
        """The partitions that are open, in order."""
        return self.stored.partitions

    @property
    def states(self) -> Collection[State]:
        """The states of all open partitions."""
        return [self.stored.state(each) for each in self.partitions]

    def state(self, partition: int) -> State:
        """Return the state of an open partition; raise NotHeldError for any other."""
        return self.stored.state(partition)

    def position(self, partition: int) -> int:
        """Return the next offset to read of an open partition; 0 for a new store."""
        return self.stored.position(partition)

    def at(self, partition: int) -> PartitionView:
        """Return a view of the table for handling the records of an input's `partition`."""
        return PartitionView(partition, self.stored, self.role, self._ends, self._losses)

    def set_topic(self, topic_id: str, partition_count: int, delete_retention: float | None = None) -> None:
        """Set what the broker reports of the topic; another id means another topic, whose rows are read from its start.

        `delete_retention` in seconds: how long the topic keeps deletions at least; None leaves it unchanged.
        """
        self.partition_count = partition_count
        if delete_retention is not None:
            self._resumer.delete_retention = delete_retention
        self._stores.follow_topic(topic_id)

    def open(self, partitions: Collection[int]) -> None:
        """Open stores, and log each one that had to be emptied; open ones stay open."""
        self._stores.open(partitions)

    def open_local(self) -> None:
        """Open the stores on this disk, before any broker has answered."""
        self._stores.open_local(self.partition_count)

    def close(self, partition: int | None = None) -> None:
        """Close the store of a partition, or all of them; closed ones stay closed."""
        self.stored.close(partition)

    def rebuild_if_ahead(self, partition: int, offset: int) -> bool:
        """Rebuild a partition if its store is ahead of `offset`; return whether it was."""
        ahead = self.position(partition) > offset
        if ahead:
            self._stores.rebuild(partition)
        return ahead

    def resume(self, logs: Mapping[int, LogRange], *, standby: bool = False) -> Mapping[int, int]:
        """Return the offsets at which reading partitions resumes; raise TableGapError if rows would be missing.

        All of them are measured again. `standby`: another worker processes them. A position outside its log leads to a
        rebuild. The rebuild of a global table moves all of its partitions back to their starts: pass all of them.
        """
        self._resumer.resume(logs)
        self._ends.remeasure(logs)
        behind: Counter[Shard] = Counter()
        for partition, found in logs.items():
            self.state(partition).stand_by(standby=standby)
            behind[self.stored.shard(partition)] += self._resumer.behind(partition, found)
        for shard, records in behind.items():
            if records > FAR_BEHIND_RECORDS:
                shard.catch_up(records)
        return {partition: self._resumer.position(partition, found) for partition, found in logs.items()}

    def apply(self, partition: int, records: Sequence[Record], position: int) -> Sequence[Rejected]:
        """Apply records; return the rejected ones, which the table keeps with their causes."""
        self.taken.add(partition, len(records))
        records = in_one_form(records, self.topic.key_codec)
        if self.react is not None:
            self.react(partition, records)
        elsewhere = self.misplaced(partition, records)
        if elsewhere:
            offsets = {each.record.offset for each in elsewhere}
            records = [record for record in records if record.offset not in offsets]
        applied = self.stored.apply(partition, records, position, elsewhere)
        self._resumer.note_end(partition)
        self._losses.judge_again(self.stored.shard(partition))
        self.counts.add(applied)
        self.announcements.applied(applied)
        for record, cause in applied.rejected:
            self.causes.note(partition, record.offset, cause)
        self.changes.publish(partition, applied.changed_keys)
        return applied.rejected

    def misplaced(self, partition: int, records: Sequence[Record]) -> list[Rejected]:
        """Return foreign records of an internal topic, or records whose key belongs in another partition."""
        if self.role.internal:
            return foreign(records)
        placed = self.role.by_key and self.partition_count
        return misplaced(records, partition, self.partition_count) if placed else []

    def is_beyond(self, partition: int) -> bool:
        """Return whether the topic has the partition, but no row belongs there."""
        return self.held == "partition" and 0 < self.partition_count <= partition

    def maintain(self, max_rows: int) -> bool:
        """Do a slice of maintenance; return whether there is more."""
        swept = self.stored.sweep(max_rows)
        if swept is not None:
            self.counts.swept += len(swept)
            self.changes.publish(None, swept)
        return self.stored.maintain(max_rows) or swept is not None

    def unreadable(self, partition: int) -> int:
        """Return for how many keys of a partition the newest record is not a row; 0 if it is not open."""
        return self.at(partition).unreadable()

    def is_unreadable(self, partition: int, key: bytes | None) -> bool:
        """Return whether the newest record of a key was rejected."""
        return key is not None and self.stored.shard(partition).unreadable.of(partition, key) is not None

    def unpublished(self, partition: int) -> Iterable[RejectedRecord]:
        """Return rejected records that are not known to be published as dead letters."""
        return self.stored.shard(partition).rejected_records.unpublished(partition)

    def published(self, partition: int, offsets: Sequence[int]) -> None:
        """Note that rejected records were published as dead letters."""
        if self.stored.is_open(partition):
            self.stored.shard(partition).rejected_records.published(partition, offsets)

    def observe_end(self, partition: int, end: ObservedEnd) -> bool:
        """Take an end that the broker reported; ignore one that is known already.

        Return whether the partition may have missed deletions: it is not caught up, and has to be resumed first.
        """
        if not self._ends.is_news(partition, end):
            return False
        if self._resumer.is_late(partition):
            return True
        self._ends.observe(partition, end)
        self._resumer.note_end(partition)
        return False

    def passed(self, hop: Hop) -> None:
        """Take the last time at which all rows of the source had passed into the mirror that this table reads."""
        self._ends.passed(hop)

    def pause(self, *, paused: bool) -> None:
        """Take whether the service has stopped filling the mirror that this table reads."""
        self._ends.pause(paused=paused)

    def remeasure(self, partitions: Iterable[int]) -> None:
        """Measure partitions again: only ends that are reported from now on count."""
        self._ends.remeasure(partitions)

    def check_connection(self) -> None:
        """Mark a partition as disconnected if the broker has not reported its end for too long."""
        self._ends.disconnect_silent()

    def high(self, partition: int) -> int:
        """Return the end of a partition including open transactions; 0 if it is unknown."""
        return self._ends.high(partition)

    def _phase_changed(self, state: State) -> None:
        shard = self.stored.shard(state.partition)
        if all(each.phase >= Phase.CAUGHT_UP for each in shard.states.values()):
            shard.caught_up()
            self._losses.judge(shard)
        self.was_caught_up = self.was_caught_up or all(each.phase >= Phase.CAUGHT_UP for each in self.states)
        self.announcements.phase(state)
