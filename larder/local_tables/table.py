"""A table as a worker uses it: applies batches, measures how far it is, tells who waits for rows.

Joins the store (`larder.store`), which knows no Kafka, with what is fetched. One object for each table of
the service, global or co-partitioned.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import islice

from larder.counters.cause_log import CauseLog
from larder.counters.traffic import Taken
from larder.declaring.one_form import in_one_form
from larder.declaring.records import Record
from larder.declaring.topics import OwnerTopic
from larder.kafka.batch_consumer import SeenEnd
from larder.local_tables.horizon import DELETE_RETENTION, LogRange, Resumption, TableHoleError, is_late, is_whole, way
from larder.local_tables.lost_rows import accepted_as, lost_rows
from larder.local_tables.messages import diverging, hole, missed_deletions, outside
from larder.local_tables.misplaced import misplaced, of_others
from larder.store.layout import HEADER_SIZE, ROW, FullReadStage
from larder.store.partition_state import Phase, State
from larder.store.records import Applied, Opened, ParkedRecord, Rejected
from larder.store.shard import Shard
from larder.store.table import Held, Table

log = logging.getLogger("larder")

Listener = Callable[[Sequence[bytes]], None]

Watch = Callable[[int | None, Sequence[bytes]], None]
"""Called with a partition and the keys whose rows changed in it; None: rows that their topic no longer has."""

SLICE_ENTRIES = 500
"""Entries of a store that are read and decoded before control is given back: some two milliseconds."""

FAR_BEHIND_RECORDS = 50_000
"""A store that is further behind is written without RocksDB's log until it is caught up."""


@dataclass
class TableCounts:
    """What became of the records of a table, in this worker since it started."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    swept: int = 0
    stale: int = 0
    deleted: int = 0
    repeated: int = 0
    rejected: int = 0

    def add(self, applied: Applied) -> None:
        self.new += applied.new
        self.changed += applied.changed
        self.unchanged += applied.unchanged
        self.stale += applied.stale
        self.deleted += applied.deleted
        self.repeated += applied.repeated
        self.rejected += len(applied.rejected)

    def as_dict(self) -> dict[str, int]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


class LocalTable:
    """`partition_count` is the number by which its rows are placed; 0 while no broker has told it.

    That is the number of partitions of the topic, or the one of before where others depend on it.

    `was_caught_up`: all open partitions have been at once, since the worker started.
    """

    def __init__(
        self,
        table: Table,
        patience: float,
        clock: Callable[[], float],
        *,
        by_key: bool = False,
        holes: bool = False,
        decided_on: bool = False,
        followed: bool = False,
        internal: bool = False,
        losses_accepted: Collection[str] = (),
    ) -> None:
        """`patience` in seconds: with no sign of the broker for so long, it counts as gone.

        `by_key`: each row has to lie in the partition that its key belongs to. `holes`: what is left of a topic of
        which records were deleted is enough. `decided_on`: it is the state of a decide, which is held back while one of
        its rows cannot be read. `followed`: others publish it, who may have written anything. `internal`: nobody but
        this service has anything to write there. `losses_accepted`: of which tables rows may be lost, each with the
        row type, see `lost_rows`.
        """
        self.stored = table
        self.decided_on = decided_on
        self.partition_count = 0
        self.topic_id: str | None = None
        self.counts = TableCounts()
        self.taken = Taken()
        self.causes = CauseLog(f"table {table.topic.name}", clock)
        self.was_caught_up = False
        self.said_unreadable: set[int] = set()
        self.react: Callable[[int, Sequence[Record]], None] | None = None
        self.watch: Watch | None = None
        """Somebody who wants to see changes live, whoever has the partitions; mostly nobody does."""
        self._followed = followed
        self._internal = internal
        self._losses_accepted = losses_accepted
        self._lost_said: set[Shard] = set()
        self._patience = patience
        self._clock = clock
        self._by_key = by_key
        self._holes = holes
        self._delete_retention = DELETE_RETENTION
        self._seen: dict[int, SeenEnd] = {}
        self._measured_from: dict[int, float] = {}
        self._watched: dict[int, State] = {}
        self._said: dict[int, Phase] = {}
        self._listeners: list[Listener] = []

    @property
    def topic(self) -> OwnerTopic:
        return self.stored.topic

    @property
    def held(self) -> Held:
        return self.stored.held

    @property
    def partitions(self) -> list[int]:
        """The partitions that are open, in order."""
        return self.stored.partitions

    def state(self, partition: int) -> State:
        """Give the state of an open partition; NotHeldError for another."""
        return self.stored.state(partition)

    def position(self, partition: int) -> int:
        """Give the next offset to read of an open partition; 0 for a new store."""
        return self.stored.position(partition)

    def states(self, partition: int | None = None) -> Collection[State]:
        """States of all open partitions, or of one: those on which a join of `partition` depends."""
        if self.held == "partition" and partition is not None:
            return [self.state(partition)] if partition in self.partitions else []
        return [self.state(each) for each in self.partitions]

    def caught_up(self, partition: int) -> bool:
        """Rows for orders of an input's `partition` are there; for a global table, of all partitions.

        Rows that were lost by a rebuild are not there, until somebody accepts that.
        """
        return self.is_read(partition) and not any(map(self._has_lost, self._shards(partition)))

    def lost(self, partition: int) -> Shard | None:
        """What holds back those who depend on rows for an input's `partition`: a store that lost too many of them."""
        lost = filter(self._has_lost, self._shards(partition))
        return next(lost, None) if self.is_read(partition) else None

    def is_read(self, partition: int) -> bool:
        """All that the topic has for orders of an input's `partition` was read.

        After a pause of the process the last sign of the broker is old: what was measured before it counts
        no more.
        """
        states = self.states(partition)
        since = self._clock() - self._patience
        return bool(states) and all(
            state.phase >= Phase.CAUGHT_UP and self._seen[state.partition].at >= since for state in states
        )

    def _shards(self, partition: int) -> Collection[Shard]:
        open_ = self.partitions
        if self.held == "global":
            return [self.stored.shard(open_[0])] if open_ else []
        return [self.stored.shard(partition)] if partition in open_ else []

    def _has_lost(self, shard: Shard) -> bool:
        """Where each row is needed none may be lost: that holds back by itself, and nobody can accept it."""
        if self.needs_each_row or shard.before is None or (shard.before.rows is None and not self._followed):
            return False
        return shard.lost > 0 and accepted_as(self.topic) not in self._losses_accepted

    def _judge(self, shard: Shard) -> None:
        """Go on with a store that was read again, unless it lost rows: that is said once."""
        if shard.before is None:
            return
        if not self._has_lost(shard):
            if shard in self._lost_said or (shard.lost and not self.needs_each_row):
                log.warning("table %s: goes on with the %d rows that it has", self.topic.name, self.stored.sizes().rows)
            shard.settle()
        elif shard not in self._lost_said:
            self._lost_said.add(shard)
            log.error("%s", lost_rows(self.topic, shard))

    def rows(self, partition: int) -> Shard | Table:
        """What answers `raw_many` for orders of an input's `partition`."""
        return self.stored if self.held == "global" else self.stored.shard(partition)

    def slices(self, partition: int) -> Iterator[list[bytes]]:
        """The JSON of all rows of a partition, as they are now, a slice of the store at a time."""
        entries = self.stored.shard(partition).store.scan_prefix(ROW)
        while some := list(islice(entries, SLICE_ENTRIES)):
            yield [stored[HEADER_SIZE:] for _, stored in some if len(stored) > HEADER_SIZE]

    def listen(self, listener: Listener) -> None:
        """Call with the keys of rows that changed, after they are stored."""
        self._listeners.append(listener)

    def forget_listeners(self) -> None:
        self._listeners.clear()

    def open(self, partitions: Collection[int], topic_id: str | None) -> None:
        """Open stores, and say so where one had to be emptied."""
        for opened in self.stored.open(partitions, topic_id):
            self._announce(opened)
            for partition in opened.partitions:
                self._said.pop(partition, None)
        for partition in partitions:
            state = self.state(partition)
            if self._watched.get(partition) is not state:
                self._watched[partition] = state
                state.subscribe(self._changed)

    def open_local(self) -> Collection[int]:
        """Open what is on this disk; answers the partitions."""
        found = self._local_partitions()
        if found:
            self.open(found, None)
        return found

    def reopen(self) -> None:
        """Open again what is open, now that the topic's id is known."""
        partitions, said = self.partitions, dict(self._said)
        if partitions:
            self.close()
            self.open(partitions, self.topic_id)
            self._said = said
            for partition in partitions:
                self.state(partition).disconnect()

    def close(self, partition: int | None = None) -> None:
        """Close the store of a partition, or all of them; what is closed stays so."""
        self.stored.close(partition)

    def _local_partitions(self) -> Collection[int]:
        directory = self.stored.directory
        if self.held == "global":
            return range(self.partition_count) if (directory / "global").is_dir() else ()
        return sorted(int(found.name) for found in directory.glob("*") if found.name.isdigit())

    def take(self, partition: int, records: Sequence[Record], position: int) -> Sequence[Rejected]:
        """Apply records; answers those that were rejected, which the table keeps with their causes."""
        self.taken.add(partition, len(records))
        records = in_one_form(records, self.topic.key_codec)
        if self.react is not None:
            self.react(partition, records)
        strangers = self.strangers(partition, records)
        if strangers:
            elsewhere = {each.record.offset for each in strangers}
            records = [record for record in records if record.offset not in elsewhere]
        applied = self.stored.apply(partition, records, position, strangers)
        self._note_end(partition)
        self._judge_again(partition)
        self.counts.add(applied)
        if applied.fell is not None:
            log.warning("%s", diverging(self.topic.name, applied.fell))
        for record, cause in applied.rejected:
            self.causes.note(partition, record.offset, cause)
        if self.watch is not None and applied.changed_keys:
            self.watch(partition, applied.changed_keys)
        self._tell(applied.changed_keys)
        return applied.rejected

    def _judge_again(self, partition: int) -> None:
        shard = self.stored.shard(partition)
        if shard in self._lost_said:
            self._judge(shard)

    def lies_beyond(self, partition: int) -> bool:
        """The topic has it, and no row belongs there."""
        return self.held == "partition" and 0 < self.partition_count <= partition

    def strangers(self, partition: int, records: Sequence[Record]) -> list[Rejected]:
        """Records of others in an internal topic, and those that belong into another partition than they lie in."""
        if self._internal:
            return of_others(records)
        placed = self._by_key and self.partition_count
        return misplaced(records, partition, self.partition_count) if placed else []

    def tend(self, max_rows: int) -> bool:
        """Do a slice of what may be done at any time; gives whether there is more."""
        removed = self.stored.sweep(max_rows)
        if removed is not None:
            self.counts.swept += len(removed)
            if self.watch is not None and removed:
                self.watch(None, removed)
            self._tell(removed)
        return self.stored.tend(max_rows) or removed is not None

    def _tell(self, changed: Sequence[bytes]) -> None:
        if changed:
            for listener in self._listeners:
                listener(changed)

    @property
    def needs_each_row(self) -> bool:
        """What depends on it is held back while one of its rows cannot be read: a decide, and whoever waits."""
        return self.decided_on or self._internal

    def unreadable(self, partition: int) -> int:
        """How many keys of a partition have a newest record that is no row; 0 where the partition is not open."""
        open_ = partition in self.partitions
        return self.stored.shard(partition).unreadable.counts.get(partition, 0) if open_ else 0

    def is_unreadable(self, partition: int, key: bytes | None) -> bool:
        """The newest record of a key was rejected."""
        return key is not None and self.stored.shard(partition).unreadable.of(partition, key) is not None

    def unpublished(self, partition: int) -> Iterable[ParkedRecord]:
        """Rejected records that were not published as dead letters yet, as far as anybody knows."""
        return self.stored.shard(partition).parked.untold(partition)

    def published(self, partition: int, offsets: Sequence[int]) -> None:
        """Rejected records were published as dead letters."""
        if partition in self.partitions:
            self.stored.shard(partition).parked.told(partition, offsets)

    def high(self, partition: int) -> int:
        """The end of all records of a partition, those of open transactions included; 0 where it is not known."""
        return self._seen[partition].high if partition in self._seen else 0

    def seen(self, partition: int, seen: SeenEnd) -> bool:
        """The end as the broker told it; an answer that was seen before tells nothing new.

        Gives whether deletions may have been missed by now: the table is to be started anew, and not caught up
        until it was.
        """
        before = self._seen.get(partition)
        if seen == before or seen.at < self._measured_from.get(partition, 0.0):
            return False
        if self._is_late(partition):
            return True
        if before is not None and seen.at - before.at > self._patience:
            self.state(partition).remeasure()
        self._seen[partition] = seen
        self.stored.observe(partition, seen.end, seen.at)
        self._note_end(partition)
        return False

    def _is_late(self, partition: int) -> bool:
        read, state = self.stored.last_full_read(partition), self.state(partition)
        if read is not None and read.stage is FullReadStage.READING and not state.is_read:
            # What it may have missed is known when it comes to the end: it is of use until then.
            return False
        return is_late(read, state, self._clock(), self._delete_retention)

    def _note_end(self, partition: int) -> None:
        """A full read that came to the end in time has met every row that the topic has."""
        read = self.stored.last_full_read(partition)
        reading = read is not None and read.stage is FullReadStage.READING
        if reading and self.state(partition).is_read and not self._is_late(partition):
            self.stored.reached_end(partition)

    def remeasure(self, partitions: Iterable[int]) -> None:
        """Forget how far they were: an end that is asked for from now on decides."""
        for partition in partitions:
            self._seen.pop(partition, None)
            self._measured_from[partition] = self._clock()
            self.state(partition).remeasure()

    def start(self, logs: Mapping[int, LogRange], *, standby: bool = False) -> Mapping[int, int]:
        """Where to read partitions on, each measured anew; raises TableHoleError where rows would be missing.

        `standby`: another worker processes them.

        A position after its log leads to a rebuild, announced. That of a global table takes all of its
        partitions back to their starts: hand over all of them.
        """
        ways = self._ways(logs)
        lost = [partition for partition, found in ways.items() if found is Resumption.REBUILD]
        for partition in lost[:1] if self.held == "global" else lost:
            self._rebuild(partition, logs[partition])
        for partition, found in ways.items():
            if found is Resumption.READ_ANEW:
                self._say_read_anew(partition)
            if found is not Resumption.GO_ON:
                self.stored.read_anew(partition, logs[partition].begin, self._clock())
        self.remeasure(logs)
        for partition in logs:
            self.state(partition).stand_by(standby=standby)
        for shard, behind in self._behind(logs).items():
            if behind > FAR_BEHIND_RECORDS:
                shard.catch_up(behind)
        return {partition: max(self.position(partition), found.begin) for partition, found in logs.items()}

    def _ways(self, logs: Mapping[int, LogRange]) -> Mapping[int, Resumption]:
        ways = {partition: self._way(partition, found) for partition, found in logs.items()}
        if self.held == "global" and Resumption.REBUILD in ways.values():
            ways = {
                each: Resumption.REBUILD if self._is_enough(each, found) else Resumption.REFUSE
                for each, found in logs.items()
            }
        for partition, found in ways.items():
            if found is Resumption.REFUSE:
                position, read = self.position(partition), self.stored.last_full_read(partition)
                raise TableHoleError(hole(self.topic.name, partition, position, read, logs[partition]))
        return ways

    def _way(self, partition: int, found: LogRange) -> Resumption:
        read = self.stored.last_full_read(partition)
        late = is_late(read, self.state(partition), self._clock(), self._delete_retention)
        return way(self.position(partition), read, found, late=late, holes=self._holes)

    def _is_enough(self, partition: int, found: LogRange) -> bool:
        return self._holes or is_whole(self.stored.last_full_read(partition), found)

    def _behind(self, logs: Mapping[int, LogRange]) -> Mapping[Shard, int]:
        behind: Counter[Shard] = Counter()
        for partition, found in logs.items():
            behind[self.stored.shard(partition)] += found.end - max(self.position(partition), found.begin)
        return behind

    def told(self, topic_id: str, partition_count: int, delete_retention: float | None = None) -> None:
        """What the broker says of the topic; another id means another topic, whose rows are to be read anew.

        `delete_retention` in seconds, as long as the topic keeps deletions at least; None: as before.
        """
        self.partition_count = partition_count
        if delete_retention is not None:
            self._delete_retention = delete_retention
        if self.topic_id != topic_id:
            self.topic_id = topic_id
            self.reopen()

    def not_ahead(self, partition: int, offset: int) -> None:
        """Rebuild a partition whose store is ahead of `offset`: changes that lie between would never be told."""
        if self.position(partition) > offset:
            log.info("table %s partition %d: rebuilt, so that each change is reacted to", self.topic.name, partition)
            self.stored.discard(partition)
            self.open([partition], self.topic_id)

    def _rebuild(self, partition: int, found: LogRange) -> None:
        partitions = self.partitions
        log.warning("%s", outside(self.topic.name, partition, self.position(partition), found))
        self.stored.discard(partition)
        self.open(partitions if self.held == "global" else [partition], self.topic_id)

    def _say_read_anew(self, partition: int) -> None:
        """The first reading goes without saying."""
        read = self.stored.last_full_read(partition)
        if read is not None:
            log.warning("%s", missed_deletions(self.topic.name, partition, read, self._delete_retention))

    def check_connection(self) -> None:
        """Say `disconnected` of partitions of which the broker has told nothing for too long."""
        now = self._clock()
        for partition in self.partitions:
            state = self.state(partition)
            seen = self._seen.get(partition)
            last = self._measured_from.get(partition, now) if seen is None else seen.at
            if now - last > self._patience and state.phase is not Phase.DISCONNECTED:
                state.disconnect()

    def ends(self, partition: int) -> Mapping[int, SeenEnd]:
        """Ends of the partitions on which a join of `partition` depends; unknown ones were seen at 0."""
        return {state.partition: self._seen.get(state.partition, SeenEnd(0, 0.0)) for state in self.states(partition)}

    def has_passed(self, ends: Mapping[int, SeenEnd]) -> bool:
        open_ = self.partitions
        return all(partition in open_ and self.position(partition) >= seen.end for partition, seen in ends.items())

    def _changed(self, state: State) -> None:
        shard = self.stored.shard(state.partition)
        if all(each.phase >= Phase.CAUGHT_UP for each in shard.states.values()):
            shard.caught_up()
            self._judge(shard)
        self.was_caught_up = self.was_caught_up or all(each.phase >= Phase.CAUGHT_UP for each in self.states())
        self._say(state)

    def _say(self, state: State) -> None:
        """One line for what is new: that it is measured anew is not, nor that it still is what it was."""
        if state.phase in {Phase.STARTING, self._said.get(state.partition)}:
            return
        self._said[state.partition] = state.phase
        log.info(
            "table %s partition %d: %s at %d of %s",
            state.table, state.partition, state.phase.name.lower().replace("_", " "),
            state.position, "?" if state.end is None else state.end,
        )  # fmt: skip

    def _announce(self, opened: Opened) -> None:
        if opened.rebuilt is not None:
            log.warning("table %s: rebuilt from the topic: %s", self.topic.name, opened.rebuilt)
