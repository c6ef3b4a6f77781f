"""This worker as a member of its group: what each assignment, loss and failure leads to.

Takes batches from the harness (it is its `Intake`), builds lanes for what is assigned, commits offsets by
its own hand, and goes back to the committed offsets when outputs could not be acknowledged.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial
from typing import NamedTuple

from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from aiokafka.structs import TopicPartition

from larder.assembly.build import Assembly
from larder.assembly.memo import Memo
from larder.assembly.placement import Placement
from larder.assembly.plan import ServicePlan
from larder.counters.counts import Counts
from larder.counters.traffic import Traffic
from larder.declaring.checks.declarations import TopicFacts
from larder.declaring.problems import Problem
from larder.delivery.delivery import Delivery, NotAssignedError
from larder.delivery.guarantees import Guarantee
from larder.delivery.refused_records import REFUSED, Refusals
from larder.delivery.renewal import Renewal
from larder.group.faust_consumer import Consumer
from larder.group.start_offsets import Fallback, Offsets, input_offset
from larder.group.takeover import offsets_to_go_on_from
from larder.kafka.batch_consumer import Batch, SeenEnd
from larder.kafka.committed import Committed
from larder.kafka.retrying import RETRY_SECONDS, answered, is_passing
from larder.kafka.topic_metadata import Described
from larder.kafka.transactions import GroupFencedError
from larder.local_tables.horizon import LogRange
from larder.local_tables.standbys import Standbys
from larder.local_tables.table import LocalTable
from larder.operators.joins.waiting import Waiting
from larder.operators.reactions import Begun
from larder.operators.user_agents import Feed
from larder.processing.loop import Processing

log = logging.getLogger("larder")

PLACEMENT_SECONDS = 2.0
"""Between two looks at how many partitions topics have."""


class Unacknowledged(NamedTuple):
    """Outputs were not, when that was (in seconds since the epoch), and why."""

    at: float
    error: str


class Membership:
    """Owns the lanes of the current assignment. `consumer` is set before the group is joined.

    `joined`: partitions, or none, have been assigned once. `unacknowledged` is the last failure since the last commit.
    """

    consumer: Consumer

    def __init__(
        self,
        plan: ServicePlan,
        facts: Mapping[str, TopicFacts],
        tables: Mapping[str, LocalTable],
        counts: Counts,
        feeds: Mapping[str, Feed],
        traffic: Traffic,
        commit_interval: float,
        memo: Memo,
        placement: Placement,
        standbys: Standbys,
        replan: Callable[[], Awaitable[ServicePlan]],
        renewal: Renewal,
        end_transaction: Callable[[str], Awaitable[None]],
        inputs_from: Fallback | None,
        clock: Callable[[], float],
        reached: Callable[[str], None],
    ) -> None:
        self.plan = plan
        self.delivery = Delivery(self._commit, reached, Refusals(clock), traffic)
        self.processing = Processing(self.delivery, clock, commit_interval, traffic)
        self.waiting: Mapping[TopicPartition, list[Waiting]] = {}
        self.ends: dict[TopicPartition, int] = {}
        self.highs: dict[TopicPartition, int] = {}
        """The ends of all records, those of open transactions included."""
        self.positions: dict[TopicPartition, int] = {}
        self.partition_counts = {name: facts[name].partitions for name in plan.group_topics}
        self._topic_ids = {name: topic.topic_id for name, topic in facts.items()}
        self._tables = tables
        self._counts = counts
        self._feeds = feeds
        self._memo = memo
        self._placement = placement
        self._standbys = standbys
        self._replan = replan
        self._renewal = renewal
        self._end_transaction = end_transaction
        self._inputs_from = inputs_from
        self._clock = clock
        self._changing = asyncio.Lock()
        self._held_back: dict[TopicPartition, Problem] = {}
        self._said: Collection[str] = ()
        self._begun: dict[TopicPartition, Begun] = {}
        self._lost_its_place = asyncio.Event()
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.stored: dict[TopicPartition, int] = {}
        self.joined = False
        self.unacknowledged: Unacknowledged | None = None

    @property
    def held_back(self) -> Mapping[TopicPartition, Problem]:
        """Inputs whose records are not processed since topics have other numbers of partitions than they require."""
        return self._held_back

    @property
    def problems(self) -> list[str]:
        """Why inputs are held back, each cause once."""
        here = [self._held_back[tp] for tp in self.processing.assigned if tp in self._held_back]
        return sorted({str(problem) for problem in (*here, *self._placement.problems.values())})

    @property
    def epoch(self) -> int:
        return self.processing.epoch

    def passed_through(self) -> Mapping[TopicPartition, int]:
        """Committed offsets of this worker's partitions of topics that nobody else reads."""
        passed = self.plan.passed_through
        return {tp: self.positions[tp] for tp in self.processing.assigned if tp.topic in passed}

    async def run(self) -> None:
        """Process until cancelled; raises what ends the worker."""
        while True:
            running = asyncio.create_task(self.processing.run(), name="processing")
            asked = asyncio.create_task(self._lost_its_place.wait())
            try:
                await asyncio.wait({running, asked}, return_when=asyncio.FIRST_COMPLETED)
                if running.done():
                    running.result()
            except NotAssignedError as error:
                log.warning("%s: reading again from the committed offsets", error)
            except KafkaError as error:
                log.warning("outputs were not acknowledged (%r): reading again from the committed offsets", error)
                self.unacknowledged = Unacknowledged(self._clock(), repr(error))
                if isinstance(error, REFUSED):
                    await self._look_again()
                elif isinstance(error, GroupFencedError):
                    await asyncio.sleep(RETRY_SECONDS)
            finally:
                running.cancel()
                asked.cancel()
                await asyncio.gather(running, asked, return_exceptions=True)
            await self._rewind()

    async def watch_group(self) -> None:
        """Raise what ends this worker's part in its group, from before it joins; what passes is tried again."""
        while not self._failure.done():
            try:
                await self.consumer.check_group()
            except (KafkaError, OSError) as error:
                if not is_passing(error):
                    raise
            await asyncio.wait({self._failure}, timeout=RETRY_SECONDS)
        self._failure.result()

    async def watch_placement(self) -> None:
        """Begin again where topics have other numbers of partitions: the group may hear of it minutes later."""
        while True:
            await asyncio.sleep(PLACEMENT_SECONDS)
            try:
                if self.joined and self._placement.is_news(await self.consumer.describe(self.plan.group_topics)):
                    self._lost_its_place.set()
            except (KafkaError, OSError) as error:
                if not is_passing(error):
                    raise

    def fail(self, reason: BaseException) -> None:
        """A part of Faust died, in whatever thread."""
        self._failure.get_loop().call_soon_threadsafe(self._fail, reason)

    def _fail(self, reason: BaseException) -> None:
        if not self._failure.done():
            self._failure.set_exception(reason)

    async def leave(self) -> None:
        """Settle what is done; nothing more is taken."""
        await self.revoked()

    async def prepare(self) -> None:
        """Make ready before the group is joined."""
        self._note_stored()
        await self._renew_delivery()

    def wanted(self) -> Collection[TopicPartition]:
        return self.processing.wanted()

    def seen(self, ends: Mapping[TopicPartition, SeenEnd]) -> None:
        for tp, seen in ends.items():
            self.ends[tp], self.highs[tp] = seen.end, seen.high
            if (table := self._tables.get(tp.topic)) is not None and table.seen(tp.partition, seen):
                self._lost_its_place.set()
        self.processing.wake()

    async def put(self, batch: Batch, epoch: int) -> None:
        self.processing.put(batch, epoch)

    def out_of_range(self, positions: Mapping[TopicPartition, int]) -> None:
        """The log no longer has what comes next: each position is decided anew, or the worker ends."""
        for tp, position in positions.items():
            log.warning("topic %s partition %d no longer has offset %d", tp.topic, tp.partition, position)
        self._lost_its_place.set()

    async def revoked(self) -> None:
        async with self._changing:
            self._note_stored()
            await self._finish()

    async def _finish(self) -> None:
        """Settle what is done of this assignment, or have it made again from what is committed."""
        self._let_go()
        try:
            await self.processing.finish()
        except (KafkaError, OSError) as error:
            log.warning("outputs were not settled before the partitions went (%r): they are made again", error)
            await self.processing.abandon()
            await self._renew_delivery()
        self.delivery.assign(())

    async def start(
        self, assigned: Collection[TopicPartition], standbys: Collection[TopicPartition]
    ) -> Mapping[TopicPartition, int]:
        """Lanes and starting offsets for what is assigned; waits for a broker that is away."""
        async with self._changing:
            # A rewind and an assignment may come together: each begins where the one before has ended.
            await self._finish()
            self._standbys.follow(frozenset(standbys).difference(assigned))
            starts = await answered(partial(self._start_all, assigned))
        self.joined = True
        self.processing.traffic.assignments += 1
        return starts

    async def _start_all(self, assigned: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        topics = await self.consumer.describe(self.plan.group_topics)
        self._note_topics(topics)
        for table in self._tables.values():
            if table.held == "global":
                table.remeasure(table.partitions)
        offsets = await offsets_to_go_on_from(
            self.consumer, assigned, self.delivery.guarantee.by, self._end_transaction
        )
        if self._placement.heed(offsets.placed_by()):
            self._note_topics(topics)
        self._close_others(assigned)
        self.delivery.assign(assigned)
        starts = {tp: self._start(tp, offsets) for tp in sorted(assigned)}
        self.ends, self.highs = dict(offsets.ends), {}
        assembly = Assembly(
            self.plan, assigned, self._tables, self._counts, self._feeds, self._begun,
            self.consumer.member().generation, self.delivery, lambda: self.processing.epoch,
            self._clock, self._placement, self.partition_counts,
        )  # fmt: skip
        lanes = assembly.lanes()
        self.waiting = assembly.waiting
        self._say_held_back(assigned, assembly.held_back)
        await self.processing.replace(lanes, assembly.chores)
        return starts

    def _note_topics(self, topics: Mapping[str, Described]) -> None:
        self._placement.note(topics)
        for name, topic in topics.items():
            self._topic_ids[name] = topic.topic_id
            self.partition_counts[name] = topic.partitions
            if name in self._tables:
                self._tables[name].told(topic.topic_id, self._placement.partitions(name, topic.partitions))

    def _say_held_back(self, assigned: Collection[TopicPartition], held_back: Mapping[TopicPartition, Problem]) -> None:
        """One line for each cause while it lasts, however often partitions are assigned."""
        others = {tp: problem for tp, problem in self._held_back.items() if tp not in assigned}
        self._held_back = {**others, **held_back}
        problems = {each.declared: each for each in (*held_back.values(), *self._placement.problems.values())}
        for declared, problem in problems.items():
            if declared not in self._said:
                log.warning("%s", problem)
        self._said = {*problems, *(each.declared for each in others.values())}

    def _begin_reacting(self, tp: TopicPartition, table: LocalTable, offsets: Offsets) -> None:
        """What the group has committed decides to which changes there has been no reaction."""
        committed = input_offset(tp, offsets, self._memo.committed, self._topic_ids[tp.topic], self._inputs_from)
        table.not_ahead(tp.partition, committed)
        self._begun[tp] = Begun(committed, offsets.ends[tp])
        self.delivery.done(tp, committed)

    def _start(self, tp: TopicPartition, offsets: Offsets) -> int:
        if tp.topic in self.plan.inputs:
            topic_id = self._topic_ids[tp.topic]
            start = input_offset(tp, offsets, self._memo.committed, topic_id, self._inputs_from)
            self.positions[tp] = start
            # Also where nothing has come yet: a partition without an offset looks like one that was lost.
            self.delivery.done(tp, start)
            return start
        table = self._tables[tp.topic]
        table.open([tp.partition], table.topic_id)
        if tp.topic in self.plan.reactions:
            self._begin_reacting(tp, table, offsets)
        return table.start({tp.partition: LogRange(offsets.begins[tp], offsets.ends[tp])})[tp.partition]

    def _close_others(self, assigned: Collection[TopicPartition]) -> None:
        """Partitions of co-partitioned tables that another worker has now, and which this one does not follow."""
        for name, table in self._tables.items():
            if table.held == "partition":
                for partition in table.partitions:
                    tp = TopicPartition(name, partition)
                    if tp not in assigned and not self._standbys.follows(tp):
                        table.close(partition)

    def _note_stored(self) -> None:
        """How far the stores of co-partitioned tables are, those included that were closed since: they can be opened.

        A new mapping each time, as it is read in the consumer's thread.
        """
        self.stored = self.stored | {
            TopicPartition(name, partition): table.position(partition)
            for name, table in self._tables.items()
            if table.held == "partition"
            for partition in table.partitions
        }

    async def _look_again(self) -> None:
        """What topics take may have been changed; if it was not, there is time to do so."""
        await asyncio.sleep(RETRY_SECONDS)
        self.plan = await self._replan()

    async def _rewind(self) -> None:
        """Back to what the broker says: nothing is rewound from memory."""
        self.processing.traffic.rewinds += 1
        self._lost_its_place.clear()
        async with self._changing:
            self._let_go()
            await self.processing.abandon()
            await self._renew_delivery()
        await self.delivery.guarantee.until_member(self.consumer.members)
        await self.consumer.rewind()

    def _let_go(self) -> None:
        """Rows that come from now on release nothing: who has the partitions next asks for all that waits."""
        self.waiting = {}
        for table in self._tables.values():
            table.forget_listeners()

    async def _renew_delivery(self) -> None:
        """Begin again with a new producer; waits for a broker that is away."""
        self.delivery.renew(await answered(self._renewal.renew))

    def _committed(self, tp: TopicPartition, offset: int, by: str) -> Committed:
        number = self._placement.number(tp.topic, self.partition_counts[tp.topic])
        return Committed(offset, self._topic_ids[tp.topic], by, number)

    async def _commit(self, guarantee: Guarantee, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit offsets of settled units. A group that has moved on gives them to the next owner again."""
        try:
            await guarantee.commit({tp: self._committed(tp, offset, guarantee.by) for tp, offset in offsets.items()})
        except (CommitFailedError, IllegalStateError) as error:
            log.info("offsets were not committed, the group has moved on: %s", error)
            return
        self.unacknowledged = None
        self.positions.update(offsets)
        self._memo.remember_committed({tp.topic: self._topic_ids[tp.topic] for tp in offsets})
