"""Rows that are gone from their topic: whatever a table missed, it ends like a new follower's, and reports changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from larder.kafka.batch_consumer import ObservedEnd
from larder.local_tables.horizon import LogRange
from larder.local_tables.role import TableRole
from larder.local_tables.table import LocalTable
from larder.store import Table
from larder.store.layout import MET
from tests.larder.store.samples import Sent, customers, gone, row, small_memory
from tests.larder.store.test_properties import check_indexes

RETENTION = 100.0
PATIENCE = 5.0
PARTITIONS = 2
KEYS = ["a", "b", "ab", "a\0b", "c"]


@dataclass
class Topic:
    """One partition as a broker keeps it: records by offset, and when each deletion may be removed."""

    records: dict[int, Sent] = field(default_factory=dict)
    horizons: dict[int, float] = field(default_factory=dict)
    end: int = 0

    def append(self, record: Sent) -> None:
        self.records[record.offset] = record
        self.end = record.offset + 1

    def compact(self, until: int, now: float) -> None:
        """Compact as Kafka does: keep the last record of each key, and a deletion until its time is up."""
        last = {record.key: offset for offset, record in self.records.items() if offset < until}
        for offset, record in list(self.records.items()):
            due = offset in self.horizons and self.horizons[offset] <= now
            if offset < until and (last[record.key] > offset or (record.value is None and due)):
                del self.records[offset]
            elif offset < until and record.value is None:
                self.horizons.setdefault(offset, now + RETENTION)

    def rows(self) -> dict[bytes | None, bytes]:
        """Return the rows that a new follower would have."""
        newest = {record.key: record.value for _, record in sorted(self.records.items())}
        return {key: value for key, value in newest.items() if value is not None}


class Follower:
    """A table that is filled as in a worker, a few records at a time, and may crash at any time."""

    def __init__(self, directory: Path, topics: list[Topic]) -> None:
        self.directory = directory
        self.topics = topics
        self.now = 1_000_000.0
        self.changed: dict[bytes, bytes | None] = {}
        self.start()

    def start(self) -> None:
        self.table = Table(customers, self.directory, small_memory(), "global", lambda: self.now)
        self.held = LocalTable(self.table, TableRole(), PATIENCE, lambda: self.now)
        self.held.set_topic("id-1", PARTITIONS, RETENTION)
        self.held.open(range(PARTITIONS))
        self.held.changes.listen(lambda keys: self.changed.update({key: self.table.raw(key) for key in keys}))
        self.seek()

    def seek(self) -> None:
        self.positions = dict(
            self.held.resume({partition: LogRange(0, topic.end) for partition, topic in enumerate(self.topics)})
        )

    def crash(self) -> None:
        """Close without storing when the end was last reached."""
        self.table.shard(0).store.close()

    def read(self, partition: int, count: int) -> None:
        topic = self.topics[partition]
        records = [record for offset, record in sorted(topic.records.items()) if offset >= self.positions[partition]]
        position = records[count].offset if len(records) > count else topic.end
        self.held.apply(partition, records[:count], position)
        self.positions[partition] = position

    def look(self) -> None:
        late = [
            partition for partition, topic in enumerate(self.topics)
            if self.held.observe_end(partition, ObservedEnd(topic.end, self.now))
        ]  # fmt: skip
        if late:
            event("late")
            self.seek()

    def catch_up(self) -> None:
        for _ in range(100):
            for partition in range(PARTITIONS):
                self.read(partition, 1_000)
            self.look()
            self.held.maintain(3)
            if self.held.at(0).caught_up():
                return
            self.now += 0.001
        pytest.fail("it is not caught up")

    def rows(self) -> dict[bytes, bytes]:
        return {found.key: found.json for found in self.table.found(limit=1_000)}


actions = st.one_of(
    st.tuples(st.just("publish"), st.sampled_from(KEYS), st.sampled_from(["AT", "DE", None])),
    st.tuples(st.just("delete"), st.sampled_from(KEYS), st.booleans()),
    st.tuples(st.just("nonsense"), st.sampled_from(KEYS)),
    st.tuples(st.just("again"), st.sampled_from(KEYS)),
    st.tuples(st.just("compact"), st.integers(0, PARTITIONS - 1), st.integers(0, 3)),
    st.tuples(st.just("wait"), st.sampled_from([1.0, RETENTION / 3, RETENTION * 1.1])),
    st.tuples(st.just("read"), st.integers(0, PARTITIONS - 1), st.integers(1, 4)),
    st.tuples(st.just("look")),
    st.tuples(st.just("maintain"), st.integers(1, 3)),
    st.tuples(st.just("crash")),
    st.tuples(st.just("catch_up")),
    st.tuples(st.just("away"), st.lists(st.sampled_from(KEYS), max_size=3)),
)


class Owner:
    """Publishes and deletes, with rising revisions."""

    def __init__(self, topics: list[Topic]) -> None:
        self.topics = topics
        self.revisions = dict.fromkeys(KEYS, 0)

    def of(self, key: str) -> Topic:
        return self.topics[KEYS.index(key) % PARTITIONS]

    def publish(self, key: str, country: str | None) -> None:
        self.revisions[key] += 1
        self.of(key).append(row(self.of(key).end, key, self.revisions[key], country=country))

    def delete(self, key: str, *, revised: bool) -> None:
        self.revisions[key] += 1
        self.of(key).append(gone(self.of(key).end, key, self.revisions[key] if revised else None))

    def again(self, key: str) -> None:
        """Publish the present row once more."""
        topic = self.of(key)
        if (value := topic.rows().get(key.encode())) is not None:
            topic.append(Sent(topic.end, key.encode(), value))


class Play:
    """The actions that may happen, by name."""

    def __init__(self, follower: Follower, owner: Owner) -> None:
        self.follower = follower
        self.owner = owner
        self.publish = owner.publish
        self.again = owner.again
        self.read = follower.read
        self.look = follower.look
        self.maintain = follower.held.maintain
        self.catch_up = follower.catch_up

    def delete(self, key: str, revised: bool) -> None:  # noqa: FBT001
        self.owner.delete(key, revised=revised)

    def nonsense(self, key: str) -> None:
        """Publish an invalid record under a key of its own, so that compaction does not drop a row for it."""
        topic = self.owner.of(key)
        topic.append(Sent(topic.end, b"?" + key.encode(), b"{"))

    def compact(self, partition: int, left: int) -> None:
        topic = self.follower.topics[partition]
        topic.compact(topic.end - left, self.follower.now)

    def wait(self, seconds: float) -> None:
        self.follower.now += seconds

    def crash(self) -> None:
        self.follower.crash()
        self.follower.start()
        self.maintain = self.follower.held.maintain

    def away(self, keys: list[str]) -> None:
        """Be away for long enough that all deletions are removed from the topic."""
        self.follower.crash()
        for key in keys:
            self.owner.delete(key, revised=False)
        for seconds in (0.0, RETENTION * 1.1):
            self.follower.now += seconds
            for topic in self.owner.topics:
                topic.compact(topic.end, self.follower.now)
        self.follower.start()
        self.maintain = self.follower.held.maintain


ALL = [("publish", key, "AT") for key in KEYS]
READ = [("read", 0, 9), ("read", 1, 9), ("look",)]
EXPIRE = [("compact", 0, 0), ("compact", 1, 0), ("wait", RETENTION * 1.1), ("compact", 0, 0), ("compact", 1, 0)]

DELETED_AND_BACK = [("publish", "a", "AT"), ("delete", "a", False), ("publish", "a", "DE"), ("catch_up",)]
READ_FOR_TOO_LONG = [("publish", "a", "AT"), ("publish", "c", "AT"), ("read", 0, 1), ("delete", "a", False), *EXPIRE]
ENDED_IN_A_SWEEP = [*ALL, ("catch_up",), ("away", ["c"]), *READ, ("maintain", 1), ("crash",)]
AWAY_AGAIN_WHILE_READING = [*ALL, ("catch_up",), ("away", ["c"]), ("away", [])]
PUBLISHED_AGAIN_MEANWHILE = [("publish", "a", "AT"), ("catch_up",), ("again", "a"), ("away", [])]
LATE_IN_A_SWEEP = [*ALL, ("catch_up",), ("away", ["c"]), *READ, ("maintain", 3), ("delete", "a", False), *EXPIRE]


@settings(max_examples=300, deadline=None)
@example([*DELETED_AND_BACK, ("wait", RETENTION * 1.1), ("crash",)])
@example(READ_FOR_TOO_LONG)
@example(ENDED_IN_A_SWEEP)
@example(AWAY_AGAIN_WHILE_READING)
@example(PUBLISHED_AGAIN_MEANWHILE)
@example(LATE_IN_A_SWEEP)
@given(st.lists(actions, max_size=40))
def test_whatever_a_table_missed_it_ends_like_a_new_followers(happened: list[tuple[Any, ...]]) -> None:
    with TemporaryDirectory() as directory:
        topics = [Topic() for _ in range(PARTITIONS)]
        follower, owner = Follower(Path(directory), topics), Owner(topics)
        play = Play(follower, owner)
        for name, *arguments in happened:
            getattr(play, name)(*arguments)
            check_indexes(follower.table)
        follower.catch_up()
        wanted = {key: value for topic in topics for key, value in topic.rows().items() if value != b"{"}
        assert follower.rows() == wanted
        # An unchanged row is reported once, whatever its revision.
        assert {key for key, value in follower.changed.items() if value is not None} == wanted.keys()
        check_indexes(follower.table)
        assert list(follower.table.shard(0).store.scan_prefix(MET)) == []
        follower.table.close()
