"""Tables in a worker: which rows belong in which partition, where reading resumes, and when tables are caught up."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from larder.kafka.batch_consumer import ObservedEnd
from larder.kafka.partitioner import partition_of
from larder.local_tables.end_tracker import Hop
from larder.local_tables.horizon import DELETE_RETENTION, LogRange, TableGapError
from larder.local_tables.misplaced import misplaced
from larder.local_tables.role import TableRole
from larder.local_tables.table import LocalTable
from larder.store import Table
from tests.larder.store.samples import Sent, customers, row, small_memory

PATIENCE = 5.0


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def by_partition(tmp_path: Path, clock: Clock) -> Iterator[LocalTable]:
    """Partitions 0 and 1 of four."""
    held = LocalTable(
        Table(customers, tmp_path, small_memory(), "partition", clock), TableRole(by_key=True), PATIENCE, clock
    )
    held.set_topic("id-1", 4)
    held.open([0, 1])
    yield held
    held.close()


@pytest.fixture
def whole(tmp_path: Path, clock: Clock) -> Iterator[LocalTable]:
    """A global table of a topic with three partitions."""
    held = LocalTable(Table(customers, tmp_path, small_memory(), "global", clock), TableRole(), PATIENCE, clock)
    held.set_topic("id-1", 3)
    held.open(range(3))
    yield held
    held.close()


def key_in(partition: int, count: int = 4, skip: int = 0) -> str:
    """Return a key that belongs in a partition; with `skip`, another one."""
    fitting = (f"c{number}" for number in range(10_000) if partition_of(f"c{number}".encode(), count) == partition)
    return [next(fitting) for _ in range(skip + 1)][-1]


@given(keys=st.lists(st.none() | st.binary(max_size=6)), partition=st.integers(0, 3), count=st.integers(1, 4))
def test_a_record_is_misplaced_if_and_only_if_its_key_belongs_elsewhere(
    keys: list[bytes | None], partition: int, count: int
) -> None:
    records = [Sent(offset, key, b"v") for offset, key in enumerate(keys)]
    found = {each.record.offset: each.cause for each in misplaced(records, partition, count)}
    for record in records:
        place = partition if record.key is None else partition_of(record.key, count)
        assert (record.offset in found) == (place != partition)
        assert place == partition or f"belongs to, {place} of {count}; found in {partition};" in found[record.offset]


def test_a_row_in_a_wrong_partition_is_rejected_and_hides_no_other_row(by_partition: LocalTable) -> None:
    key, other = key_in(0), key_in(1)
    by_partition.apply(0, [row(0, key, 1, name="right")], 1)
    rejected = by_partition.apply(1, [row(0, key, 9, name="astray"), row(1, other, 1), Sent(2, key.encode(), None)], 3)
    assert [each.record.offset for each in rejected] == [0, 2]
    assert "Java's default partitioner" in rejected[0].cause
    assert by_partition.stored.raw(key.encode()) == by_partition.stored.shard(0).raw(key.encode())
    assert by_partition.stored.shard(1).raw(key.encode()) is None
    assert by_partition.position(1) == 3
    assert (by_partition.counts.rejected, by_partition.counts.new) == (2, 2)


def test_a_global_table_accepts_rows_from_any_partition(whole: LocalTable) -> None:
    keys = [key_in(partition, 3) for partition in range(3)]
    for partition in range(3):
        assert whole.apply(partition, [row(0, keys[(partition + 1) % 3], 1)], 1) == []
    assert whole.counts.new == 3


def test_no_record_is_misplaced_while_the_number_of_partitions_is_unknown(tmp_path: Path, clock: Clock) -> None:
    held = LocalTable(
        Table(customers, tmp_path, small_memory(), "partition", clock), TableRole(by_key=True), PATIENCE, clock
    )
    held.open([1])
    assert held.apply(1, [row(0, key_in(0), 1)], 1) == []


def test_the_first_rejected_record_of_a_cause_is_logged_then_the_number_of_others(
    by_partition: LocalTable, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "larder"):
        for offset in range(100):
            by_partition.apply(0, [Sent(offset, key_in(0).encode(), b"{")], offset + 1)
        by_partition.causes.log_others()
        clock.now += 60
        by_partition.causes.log_others()
    first, second = caplog.messages
    assert first.startswith("table shop.customers: the record at offset 0 of partition 0 cannot be used: ")
    assert second.startswith("table shop.customers: 99 more cannot be used: ")


def test_listeners_are_called_after_rows_are_stored(by_partition: LocalTable) -> None:
    changed: list[tuple[bytes, bool]] = []
    by_partition.changes.listen(
        lambda keys: changed.extend((key, by_partition.stored.raw(key) is not None) for key in keys)
    )
    key = key_in(0)
    by_partition.apply(0, [row(0, key, 1), row(1, key, 1), Sent(2, b"x", b"{")], 3)
    by_partition.apply(0, [Sent(3, key.encode(), None)], 4)
    assert changed == [(key.encode(), True), (key.encode(), False)]


def until_end(held: LocalTable, partition: int, end: int, clock: Clock) -> None:
    """Fill a partition from a log that begins at 0, with one row."""
    held.resume({each: LogRange(0, end) for each in ([partition] if held.held == "partition" else held.partitions)})
    held.apply(partition, [row(0, key_in(partition), 1)], end)
    held.observe_end(partition, ObservedEnd(end, clock.now))


def test_reading_resumes_at_the_stored_position(by_partition: LocalTable, clock: Clock) -> None:
    until_end(by_partition, 0, 8, clock)
    assert by_partition.resume({0: LogRange(0, 100), 1: LogRange(0, 100)}) == {0: 8, 1: 0}


def test_a_position_after_the_log_empties_the_partition_and_is_logged(
    by_partition: LocalTable, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    until_end(by_partition, 0, 8, clock)
    until_end(by_partition, 1, 8, clock)
    assert by_partition.resume({0: LogRange(0, 7), 1: LogRange(0, 8)}) == {0: 0, 1: 8}
    assert by_partition.stored.sizes().rows == 1
    assert "found position 8, and a log from 0 to 7, which was restored or cut off; it is rebuilt" in caplog.text


def test_a_log_that_has_lost_unread_records_is_refused_and_nothing_changes(
    by_partition: LocalTable, clock: Clock
) -> None:
    until_end(by_partition, 0, 8, clock)
    with pytest.raises(TableGapError, match=r"position 8 here, and a log from 9 to 100: .* --tables-from earliest"):
        by_partition.resume({0: LogRange(9, 100)})
    with pytest.raises(TableGapError, match="no store here, and a log from 1 to 100"):
        by_partition.resume({1: LogRange(1, 100)})
    assert by_partition.resume({0: LogRange(8, 100)}) == {0: 8}


def test_what_remains_of_a_topic_is_accepted_if_gaps_are_allowed(tmp_path: Path, clock: Clock) -> None:
    table = Table(customers, tmp_path, small_memory(), "global", clock)
    held = LocalTable(table, TableRole(gaps_allowed=True), PATIENCE, clock)
    held.set_topic("id-1", 1)
    held.open([0])
    assert held.resume({0: LogRange(3, 5)}) == {0: 3}
    held.apply(0, [row(3, "c1", 1)], 5)
    held.observe_end(0, ObservedEnd(5, clock.now))
    assert held.resume({0: LogRange(9, 12)}) == {0: 9}
    assert table.sizes().rows == 0
    held.apply(0, [row(9, "c1", 1)], 12)
    held.observe_end(0, ObservedEnd(12, clock.now))
    assert held.at(0).caught_up()
    table.close()


def test_a_table_filled_with_gaps_is_read_again_without_permission(tmp_path: Path, clock: Clock) -> None:
    for gaps_allowed in (True, False):
        table = Table(customers, tmp_path, small_memory(), "global", clock)
        held = LocalTable(table, TableRole(gaps_allowed=gaps_allowed), PATIENCE, clock)
        held.set_topic("id-1", 1)
        held.open([0])
        assert held.resume({0: LogRange(3, 5)}) == {0: 3}
        held.apply(0, [row(3, "c1", 1)], 5)
        held.observe_end(0, ObservedEnd(5, clock.now))
        table.close()
        clock.now += 10 * DELETE_RETENTION


def test_one_lost_position_of_a_global_table_rebuilds_all_its_partitions(whole: LocalTable, clock: Clock) -> None:
    """All partitions share the store that is emptied: resuming the others at their positions would lose their rows."""
    whole.resume(dict.fromkeys(range(3), LogRange(0, 8)))
    for partition in range(3):
        whole.apply(partition, [row(0, f"c{partition}", 1)], 8)
        whole.observe_end(partition, ObservedEnd(8, clock.now))
    assert whole.resume({0: LogRange(0, 10), 1: LogRange(0, 5), 2: LogRange(0, 4)}) == {0: 0, 1: 0, 2: 0}
    assert whole.stored.sizes().rows == 0


def test_a_store_is_not_emptied_if_another_partition_could_not_be_read_again(whole: LocalTable, clock: Clock) -> None:
    whole.resume(dict.fromkeys(range(3), LogRange(0, 8)))
    for partition in range(3):
        whole.apply(partition, [row(0, f"c{partition}", 1)], 8)
        whole.observe_end(partition, ObservedEnd(8, clock.now))
    with pytest.raises(TableGapError, match=r"partition 2: .* a log from 1 to 10"):
        whole.resume({0: LogRange(0, 10), 1: LogRange(0, 5), 2: LogRange(1, 10)})
    assert whole.stored.sizes().rows == 3


def test_a_long_absence_is_logged_and_its_removed_rows_are_reported(
    whole: LocalTable, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    changed: list[bytes] = []
    whole.set_topic("id-1", 3, 3600.0)
    whole.resume(dict.fromkeys(range(3), LogRange(0, 2)))
    whole.apply(0, [row(0, "c1", 1), row(1, "c2", 1)], 2)
    for partition in (1, 2):
        whole.apply(partition, [], 2)
    for partition in range(3):
        whole.observe_end(partition, ObservedEnd(2, clock.now))
    assert whole.at(0).caught_up()
    assert caplog.text == ""
    whole.changes.listen(changed.extend)
    clock.now += 3601.0
    assert whole.resume(dict.fromkeys(range(3), LogRange(0, 2))) == {0: 0, 1: 0, 2: 0}
    assert "partition 0: must reach the topic's end every 3600 s" in caplog.text
    whole.apply(0, [row(1, "c2", 1)], 2)
    for partition in (1, 2):
        whole.apply(partition, [], 2)
    for partition in range(3):
        whole.observe_end(partition, ObservedEnd(2, clock.now))
    assert not whole.at(0).caught_up(), "c1 is still there"
    assert whole.stored.raw(b"c1") is not None
    while whole.maintain(1):
        pass
    assert whole.at(0).caught_up()
    assert (changed, whole.counts.swept, whole.stored.sizes().rows) == ([b"c1"], 1, 1)
    assert whole.stored.raw(b"c1") is None


def test_a_falling_revision_is_logged_once_with_its_coordinates(
    whole: LocalTable, caplog: pytest.LogCaptureFixture
) -> None:
    whole.apply(1, [row(0, "c1", 7), row(1, "c2", 7)], 2)
    whole.apply(1, [row(2, "c1", 5), row(3, "c2", 5)], 4)
    whole.apply(1, [row(4, "c1", 3)], 5)
    (line,) = caplog.messages
    assert line.startswith(
        "table shop.customers, partition 1: the revisions of a key must rise in the order of the log; "
    )
    assert "found key c1 with revision 5 at offset 2, and with 7 before it, at 0; the table is diverging" in line


def test_a_recreated_topic_empties_the_table_and_is_logged(whole: LocalTable, caplog: pytest.LogCaptureFixture) -> None:
    whole.apply(0, [row(0, "c1", 1)], 1)
    whole.set_topic("id-2", 3)
    assert whole.stored.sizes().rows == 0
    assert "was deleted and created again (its id was id-1 and is id-2)" in caplog.text


def test_a_global_table_is_caught_up_once_all_its_partitions_are(whole: LocalTable, clock: Clock) -> None:
    whole.resume({0: LogRange(0, 1), 1: LogRange(0, 0), 2: LogRange(0, 0)})
    for partition in range(3):
        assert not whole.at(0).caught_up()
        whole.observe_end(partition, ObservedEnd(1 if partition == 0 else 0, clock.now))
    assert not whole.at(0).caught_up()
    whole.apply(0, [row(0, "c1", 1)], 1)
    assert whole.at(0).caught_up()


def test_a_partition_is_caught_up_independently_of_others(by_partition: LocalTable, clock: Clock) -> None:
    by_partition.resume({0: LogRange(0, 0), 1: LogRange(0, 1)})
    by_partition.observe_end(0, ObservedEnd(0, clock.now))
    by_partition.observe_end(1, ObservedEnd(1, clock.now))
    assert by_partition.at(0).caught_up()
    assert not by_partition.at(1).caught_up()
    assert not by_partition.at(3).caught_up(), "it is not even here"


def test_an_end_from_before_a_pause_no_longer_counts(by_partition: LocalTable, clock: Clock) -> None:
    by_partition.resume({0: LogRange(0, 0)})
    by_partition.observe_end(0, ObservedEnd(0, clock.now))
    clock.now += PATIENCE + 0.1
    assert not by_partition.at(0).caught_up()
    by_partition.observe_end(0, ObservedEnd(3, clock.now))
    assert not by_partition.at(0).caught_up(), "it is now three records behind"
    by_partition.apply(0, [], 3)
    assert by_partition.at(0).caught_up()


def test_partitions_are_disconnected_after_a_silence_of_the_broker(by_partition: LocalTable, clock: Clock) -> None:
    by_partition.resume({0: LogRange(0, 0)})
    by_partition.observe_end(0, ObservedEnd(0, clock.now))
    by_partition.check_connection()
    assert by_partition.state(0).phase.name == "CAUGHT_UP"
    clock.now += PATIENCE + 0.1
    by_partition.check_connection()
    assert by_partition.state(0).phase.name == "DISCONNECTED"


@pytest.mark.parametrize(
    ("ends", "passed"),
    [({0: 5}, True), ({0: 6}, False), ({0: 5, 1: 2}, True), ({0: 0, 1: 3}, False), ({}, True), ({2: 0}, False)],
)
def test_ends_are_passed_once_every_position_is_at_or_past_them(
    by_partition: LocalTable, ends: dict[int, int], *, passed: bool
) -> None:
    """A partition that is not here any more is past no end."""
    by_partition.apply(0, [], 5)
    by_partition.apply(1, [], 2)
    assert (
        by_partition.at(0).has_passed({partition: ObservedEnd(end, 1.0) for partition, end in ends.items()}) is passed
    )


@pytest.fixture
def mirrored(tmp_path: Path, clock: Clock) -> Iterator[LocalTable]:
    """Partition 0 of a table that is read from a mirror."""
    stored = Table(customers, tmp_path, small_memory(), "partition", clock)
    held = LocalTable(stored, TableRole(mirrored=True), PATIENCE, clock)
    held.set_topic("id-1", 1)
    held.open([0])
    held.resume({0: LogRange(0, 0)})
    yield held
    held.close()


def test_a_mirror_is_caught_up_only_once_the_rows_of_its_source_have_passed(mirrored: LocalTable, clock: Clock) -> None:
    mirrored.observe_end(0, ObservedEnd(0, clock.now, 0))
    assert not mirrored.at(0).caught_up(), "an empty mirror says nothing of its source"
    mirrored.passed(Hop(clock.now + 1, clock.now + 2))
    mirrored.observe_end(0, ObservedEnd(0, clock.now + 1.5, 3))
    assert not mirrored.at(0).caught_up(), "an end from before the rows had passed"
    mirrored.observe_end(0, ObservedEnd(0, clock.now + 3, 3))
    assert not mirrored.at(0).caught_up(), "records of an open transaction count"
    mirrored.apply(0, [], 3)
    assert mirrored.at(0).caught_up()
    assert mirrored.state(0).freshness(clock.now + 11) == 10, "as fresh as the question to the source"
    assert mirrored.at(0).ends()[0].at == clock.now + 1, "a deadline waits for what the source had"


def test_a_mirror_is_measured_through_its_source_again_after_a_pause(mirrored: LocalTable, clock: Clock) -> None:
    mirrored.passed(Hop(clock.now, clock.now))
    mirrored.observe_end(0, ObservedEnd(0, clock.now, 0))
    assert mirrored.at(0).caught_up()
    clock.now += PATIENCE + 1
    mirrored.observe_end(0, ObservedEnd(0, clock.now, 0))
    assert not mirrored.at(0).caught_up(), "the source may have more by now"
    mirrored.passed(Hop(clock.now + 1, clock.now + 1))
    mirrored.observe_end(0, ObservedEnd(0, clock.now + 2, 0))
    assert mirrored.at(0).caught_up()


def test_an_assignment_measures_a_mirror_through_its_source(mirrored: LocalTable, clock: Clock) -> None:
    mirrored.passed(Hop(clock.now, clock.now))
    mirrored.observe_end(0, ObservedEnd(0, clock.now, 0))
    clock.now += 1
    mirrored.resume({0: LogRange(0, 0)})
    mirrored.observe_end(0, ObservedEnd(0, clock.now, 0))
    assert not mirrored.at(0).caught_up(), "the last question to the source was before the assignment"
