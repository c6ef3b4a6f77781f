"""The loop over all lanes: which go first, what is dropped, and when units are closed. No broker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any, cast

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.structs import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from larder.declaring.records import Record
from larder.delivery.delivery import Delivery
from larder.delivery.guarantees import AtLeastOnce, Guarantee
from larder.delivery.refused_records import Refusals
from larder.kafka.batch_consumer import Batch
from larder.kafka.committed import Committed
from larder.processing.lanes import ENOUGH_RECORDS, SLICE_RECORDS, Lane
from larder.processing.loop import IDLE_SECONDS, Processing
from tests.larder.operators.memory_delivery import Sent
from tests.support.topics import until

TABLE, INPUT, OTHER = TopicPartition("customers", 0), TopicPartition("orders", 0), TopicPartition("orders", 1)
COMMIT_SECONDS = 0.2


def batch(tp: TopicPartition, first: int, count: int, position: int | None = None) -> Batch:
    records = [Sent(offset, 0, b"k", b"v", ()) for offset in range(first, first + count)]
    return Batch(tp, records, first + count if position is None else position)


class Handled:
    """Records what it gets; a test sets `busy` and `fails`."""

    def __init__(self, tp: TopicPartition, journal: list[tuple[TopicPartition, int, int]]) -> None:
        self.tp = tp
        self.journal = journal
        self.delivery: Delivery | None = None
        self.busy_now = False
        self.fails = False

    def process(self, records: Sequence[Record], position: int) -> None:
        if self.fails:
            message = "as asked"
            raise RuntimeError(message)
        self.journal.append((self.tp, len(records), position))
        if self.delivery is not None:
            self.delivery.done(self.tp, position)

    def busy(self) -> bool:
        return self.busy_now


class Stage:
    """A loop over lanes of a table and two inputs. It records commits, which wait while `held`."""

    def __init__(self, kind: type[Delivery] = Delivery) -> None:
        self.now = 100.0
        self.journal: list[tuple[TopicPartition, int, int]] = []
        self.committed: list[dict[TopicPartition, int]] = []
        self.commits = asyncio.Event()
        self.commits.set()
        self.is_held = False
        self.refuses = False
        self.delivery = kind(self._commit, lambda _: None, Refusals(time.time))
        self.processing = Processing(self.delivery, lambda: self.now, COMMIT_SECONDS)
        self.renew()
        self.handlers = {tp: Handled(tp, self.journal) for tp in (TABLE, INPUT, OTHER)}
        for tp in (INPUT, OTHER):
            self.handlers[tp].delivery = self.delivery

    def renew(self) -> None:
        producer = cast("AIOKafkaProducer", None)  # these units have no outputs
        self.delivery.renew(AtLeastOnce(producer, self._refuse))
        self.delivery.assign([TABLE, INPUT, OTHER])

    async def _refuse(self, _: Any) -> None:
        message = "refused"
        raise RuntimeError(message)

    async def _commit(self, guarantee: Guarantee, offsets: Mapping[TopicPartition, int]) -> None:
        if self.refuses:
            await guarantee.commit({tp: Committed(offset, "") for tp, offset in offsets.items()})
        await self.commits.wait()
        self.committed.append(dict(offsets))

    async def begin(self, *chores: Any) -> None:
        lanes = {
            TABLE: Lane(TABLE, self.handlers[TABLE], lambda: False),
            INPUT: Lane(INPUT, self.handlers[INPUT], lambda: self.is_held),
            OTHER: Lane(OTHER, self.handlers[OTHER], lambda: False),
        }
        await self.processing.replace(lanes, chores)

    def put(self, *batches: Batch) -> None:
        for each in batches:
            self.processing.put(each, self.processing.epoch)


@asynccontextmanager
async def running(stage: Stage) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(stage.processing.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_tables_are_processed_before_inputs_slice_by_slice() -> None:
    stage = Stage()
    await stage.begin()
    stage.put(batch(INPUT, 0, 600), batch(TABLE, 0, 1_200))
    async with running(stage):
        await until(lambda: len(stage.journal) == 5, 5, "five slices")
    assert stage.journal == [
        (TABLE, 500, 500), (INPUT, 500, 500), (TABLE, 500, 1_000), (INPUT, 100, 600), (TABLE, 200, 1_200),
    ]  # fmt: skip
    assert stage.processing.processed == 1_800


class Full(Delivery):
    """Has batches to be sent after each slice, and sends them without waiting."""

    @property
    def full(self) -> bool:
        """Always."""
        return True

    async def send_full(self) -> None:
        """Return at once: the broker keeps up."""


async def test_readers_get_a_turn_between_slices_even_while_outputs_are_sent() -> None:
    stage = Stage(Full)
    await stage.begin()
    stage.put(batch(INPUT, 0, 500), batch(OTHER, 0, 500), batch(TABLE, 0, 500))
    seen: list[int] = []

    async def read() -> None:
        while len(stage.journal) < 3:
            seen.append(len(stage.journal))
            await asyncio.sleep(0)

    async with running(stage):
        await asyncio.wait_for(read(), 5)
    assert seen == [1, 2]


async def test_a_held_lane_keeps_its_records_and_holds_back_no_other() -> None:
    stage = Stage()
    stage.is_held = True
    await stage.begin()
    stage.put(batch(INPUT, 0, 10), batch(OTHER, 0, 10))
    async with running(stage):
        await until(lambda: stage.committed, 5, "a commit")
        assert stage.committed == [{OTHER: 10}]
        stage.is_held = False
        stage.processing.wake()
        await until(lambda: len(stage.committed) == 2, 5, "the other commit")
    assert stage.committed[1] == {INPUT: 10}


async def test_a_busy_handler_gets_no_records() -> None:
    stage = Stage()
    stage.handlers[INPUT].busy_now = True
    await stage.begin()
    stage.put(batch(INPUT, 0, 10), batch(TABLE, 0, 10))
    async with running(stage):
        await until(lambda: stage.journal, 5, "a slice")
        stage.handlers[INPUT].busy_now = False
        await until(lambda: len(stage.journal) == 2, 5, "the input's slice")


async def test_batches_of_another_epoch_and_of_lost_partitions_are_dropped() -> None:
    stage = Stage()
    await stage.begin()
    late = stage.processing.epoch
    await stage.begin()
    stage.processing.put(batch(INPUT, 0, 10), late)
    stage.processing.put(batch(TopicPartition("gone", 0), 0, 10), stage.processing.epoch)
    stage.put(batch(OTHER, 5, 5))
    async with running(stage):
        await until(lambda: stage.committed, 5, "a commit")
    assert stage.journal == [(OTHER, 5, 10)]


async def test_queued_records_are_dropped_with_their_epoch() -> None:
    stage = Stage()
    await stage.begin()
    stage.put(batch(INPUT, 0, 10))
    await stage.begin()
    stage.put(batch(INPUT, 3, 2))
    async with running(stage):
        await until(lambda: stage.committed, 5, "a commit")
    assert stage.journal == [(INPUT, 2, 5)]


async def test_a_position_without_records_is_committed_too() -> None:
    """There were only markers or aborted records in between."""
    stage = Stage()
    await stage.begin()
    stage.put(Batch(INPUT, [], 42))
    async with running(stage):
        await until(lambda: stage.committed, 5, "a commit")
    assert stage.committed == [{INPUT: 42}]


async def test_finishing_settles_what_is_done_and_drops_the_rest() -> None:
    stage = Stage()
    stage.commits.clear()
    await stage.begin()
    stage.put(batch(INPUT, 0, 100))
    async with running(stage):
        await until(lambda: stage.journal, 5, "the first slice")
        # One unit is being settled, and the next is open.
        stage.put(batch(INPUT, 100, 100))
        await until(lambda: len(stage.journal) == 2, 5, "the second slice")
        stage.is_held = True
        stage.put(batch(INPUT, 200, 100))
        finishing = asyncio.create_task(stage.processing.finish())
        await until(lambda: not stage.processing.assigned, 5, "an end of the epoch")
        assert not finishing.done()
        stage.commits.set()
        await finishing
    assert stage.committed == [{INPUT: 100}, {INPUT: 200}]
    assert [position for _, _, position in stage.journal] == [100, 200]


async def test_finishing_also_settles_what_settling_produces() -> None:
    stage = Stage()
    await stage.begin()
    followed: list[int] = []

    def follow(times: int) -> None:
        followed.append(times)
        if times:
            stage.delivery.unit.afterwards.append(lambda: follow(times - 1))

    stage.delivery.unit.afterwards.append(lambda: follow(2))
    async with asyncio.timeout(5):
        await stage.processing.finish()
    assert followed == [2, 1, 0]


async def test_abandoning_commits_nothing() -> None:
    stage = Stage()
    stage.commits.clear()
    await stage.begin()
    stage.put(batch(INPUT, 0, 100))
    async with running(stage):
        await until(lambda: stage.journal, 5, "a slice")
        before = stage.processing.epoch
        await stage.processing.abandon()
        assert stage.processing.epoch > before
        assert not stage.processing.wanted()
        stage.commits.set()
        stage.renew()
        await stage.begin()
        stage.put(batch(OTHER, 0, 10))
        await until(lambda: stage.committed, 5, "a commit of the new epoch")
    assert stage.committed == [{OTHER: 10}]


async def test_under_load_units_close_at_intervals_and_one_after_the_other() -> None:
    stage = Stage()
    stage.commits.clear()
    await stage.begin()
    position = 0

    def go_on() -> bool:
        """Advance the clock while there is always something to do."""
        nonlocal position
        stage.now += COMMIT_SECONDS / 4
        stage.put(batch(INPUT, position, 10))
        position += 10
        return len(stage.journal) > 50

    async with running(stage):
        await until(go_on, 20, "fifty slices")
        assert stage.committed == []
        stage.commits.set()
        await until(lambda: len(stage.committed) >= 2, 5, "commits")
    positions = [each[INPUT] for each in stage.committed]
    assert positions == sorted(positions)


async def test_after_a_slow_commit_an_idle_worker_gathers_records_for_a_while() -> None:
    stage = Stage()
    await stage.begin()
    async with running(stage):
        stage.put(batch(INPUT, 0, 10))
        await until(lambda: len(stage.committed) == 1, 5, "a fast commit")
        stage.commits.clear()
        stage.put(batch(INPUT, 10, 10))
        await until(lambda: not stage.delivery.unit.offsets and len(stage.journal) == 2, 5, "a unit on its way")
        stage.now += COMMIT_SECONDS / 4
        stage.commits.set()
        await until(lambda: len(stage.committed) == 2, 5, "a slow commit")
        stage.put(batch(INPUT, 20, 10))
        await until(lambda: len(stage.journal) == 3, 5, "the next records")
        await asyncio.sleep(2 * IDLE_SECONDS)
        assert len(stage.committed) == 2
        stage.now += COMMIT_SECONDS
        await until(lambda: len(stage.committed) == 3, 5, "the next commit")


class AlwaysMore:
    """A chore that always has more to do."""

    def __init__(self) -> None:
        self.ticks = 0

    def tick(self, _: float) -> bool:
        self.ticks += 1
        return True


async def test_a_unit_for_which_a_client_waits_closes_at_once_also_under_load() -> None:
    stage, chore = Stage(), AlwaysMore()
    await stage.begin(chore)
    stage.put(batch(INPUT, 0, 10))
    async with running(stage):
        await until(lambda: stage.journal and chore.ticks > 100, 5, "a hundred turns")
        assert stage.committed == []
        stage.delivery.unit.awaited = True
        await until(lambda: stage.committed, 5, "a commit")
        stage.put(batch(INPUT, 10, 10))
        before = chore.ticks
        await until(lambda: len(stage.journal) == 2 and chore.ticks > before + 100, 5, "a hundred turns")
    assert stage.committed == [{INPUT: 10}]


async def test_a_failing_handler_ends_the_loop_with_its_error() -> None:
    stage = Stage()
    stage.handlers[INPUT].fails = True
    await stage.begin()
    stage.put(batch(INPUT, 0, 10))
    async with running(stage) as task:
        with pytest.raises(RuntimeError, match="as asked"):
            await asyncio.wait_for(asyncio.shield(task), 5)
    await stage.processing.finish()
    assert stage.committed == []


async def test_outputs_of_a_slice_that_failed_half_way_are_not_settled() -> None:
    stage = Stage()
    await stage.begin()
    stage.put(batch(INPUT, 0, 10), batch(OTHER, 0, 10))
    stage.handlers[OTHER].fails = True
    with pytest.raises(RuntimeError):
        await stage.processing.run()
    await stage.processing.finish()
    assert stage.journal == [(INPUT, 10, 10)]
    assert not stage.committed, "the unit has outputs of records that are only partly processed"


async def test_a_failing_commit_ends_the_loop_with_its_error() -> None:
    stage = Stage()
    stage.refuses = True
    await stage.begin()
    stage.put(batch(INPUT, 0, 10))
    async with running(stage) as task:
        with pytest.raises(RuntimeError, match="refused"):
            await asyncio.wait_for(asyncio.shield(task), 5)


async def test_chores_run_even_when_no_records_arrive() -> None:
    stage = Stage()
    ticks: list[float] = []

    class Chore:
        def tick(self, now: float) -> None:
            ticks.append(now)

    await stage.begin(Chore())
    async with running(stage):
        await until(lambda: len(ticks) > 2, 5, "ticks")
    assert set(ticks) == {100.0}


async def test_an_interrupted_loop_can_be_finished() -> None:
    """A worker that stops cancels its loop at any point, then settles."""
    stage = Stage()
    stage.commits.clear()
    await stage.begin()
    stage.put(batch(INPUT, 0, 100))
    async with running(stage):
        await until(lambda: stage.journal, 5, "a slice")
    stage.commits.set()
    async with asyncio.timeout(5):
        await stage.processing.finish()
    assert stage.committed == [{INPUT: 100}]


def test_a_lane_asks_for_more_until_it_has_enough() -> None:
    lane = Lane(INPUT, Handled(INPUT, []), lambda: False)
    lane.put(batch(INPUT, 0, ENOUGH_RECORDS - 1))
    assert lane.wants_more()
    lane.put(batch(INPUT, ENOUGH_RECORDS - 1, 1))
    assert not lane.wants_more()
    while lane.ready():
        lane.step()
    assert lane.queued == 0
    assert lane.wants_more()


@given(sizes=st.lists(st.integers(0, 3 * SLICE_RECORDS), max_size=5), gap=st.integers(0, 3))
def test_a_lane_passes_on_every_record_once_and_every_position(sizes: list[int], gap: int) -> None:
    handled: list[tuple[list[int], int]] = []

    class Noting(Handled):
        def process(self, records: Sequence[Record], position: int) -> None:
            handled.append(([record.offset for record in records], position))

    lane, first = Lane(INPUT, Noting(INPUT, []), lambda: False), 0
    for size in sizes:
        lane.put(batch(INPUT, first, size, first + size + gap))
        first += size + gap
    taken = 0
    while lane.ready():
        taken += lane.step()
    offsets = [offset for records, _ in handled for offset in records]
    assert taken == len(offsets) == sum(sizes)
    assert offsets == sorted(set(offsets))
    assert all(len(records) <= SLICE_RECORDS for records, _ in handled)
    for (_, position), (records, after) in pairwise(handled):
        assert position <= (records[0] if records else after)
    assert all(not records or position > records[-1] for records, position in handled)
    assert not handled or handled[-1][1] == first
