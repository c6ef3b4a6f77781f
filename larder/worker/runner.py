"""Runs one service in this process: from local copies to the group, and back.

The order in which things start reads from top to bottom in `ServiceRunner`, and is reversed at the end.
Each background task has an owner here that notices its death: whatever dies ends the worker with its cause.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

from larder.assembly.memo import Memo
from larder.assembly.placement import Placement
from larder.assembly.plan import ServicePlan, plan
from larder.clock import now
from larder.config.connection import Connection
from larder.counters.cause_log import CauseLog, say_causes
from larder.counters.counts import Counts
from larder.counters.operator_counts import AgentCounts, ReactionCounts
from larder.counters.traffic import Traffic
from larder.declaring.checks.declarations import TopicFacts
from larder.declaring.facts import input_name
from larder.declaring.problems import LarderError, Problem
from larder.declaring.reactions import counted_reactions
from larder.declaring.service import Service
from larder.declaring.topics import OwnerTopic, Rekeyed
from larder.delivery.guarantees import Guarantee, Name, new_guarantee
from larder.delivery.renewal import Renewal
from larder.group.consumer_thread import Group
from larder.group.faust_app import App
from larder.group.faust_consumer import Consumer
from larder.group.peers import Peer
from larder.group.start_offsets import Fallback
from larder.kafka.broker_probe import probe
from larder.kafka.clients import end_transaction
from larder.kafka.topic_metadata import Described
from larder.local_tables.follower import Follower
from larder.local_tables.horizon import Remainder
from larder.local_tables.maintenance import tend
from larder.local_tables.progress_log import tell_progress
from larder.local_tables.standbys import Standbys
from larder.local_tables.table import LocalTable
from larder.operators.reactions import GlobalReacting
from larder.operators.user_agents import Feed, abandonable, run_agent
from larder.store.errors import StoreError
from larder.store.storage.deletion_expiry import TOMBSTONE_RETENTION
from larder.store.storage.memory import Memory
from larder.store.table import Held, Table
from larder.worker.membership import Membership
from larder.worker.prepare import prepare
from larder.worker.status import status, waiting
from larder.worker.trimming import trim
from larder.worker.vitals import ENDING, PartitionUse, Vitals, vitals
from larder.worker.waiting_behind import WaitingBehind

log = logging.getLogger("larder")

STOP_SECONDS = 2.5
"""How long each step of stopping may take: three of them stay below ten seconds."""


class Options(NamedTuple):
    """What a worker is run with. Times in seconds, sizes in bytes."""

    connection: Connection
    directory: Path
    worker: str
    session_timeout: float
    heartbeat: float
    poll_interval: float
    commit_interval: float
    guarantee: Name = "exactly_once"
    fetch_bytes: int = 1024 * 1024
    standby: int = 0
    on_stop: Literal["leave", "stay"] = "leave"
    inputs_from: Fallback | None = None
    tables_from: Remainder | None = None
    losses_accepted: Collection[str] = ()


class WorkerFailedError(LarderError):
    """A part of the worker died; the cause is `__cause__`."""


class ServiceRunner:
    """One service, as this worker runs it. Make it inside a running event loop."""

    def __init__(
        self,
        service: Service,
        options: Options,
        memory: Memory,
        clock: Callable[[], float] = now,
        reached: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.service = service
        self.options = options
        self._doing = self._told = "starting"
        self._broker_answers = True
        rekeyed = [input_name(service, each) for each in service.sources if isinstance(each, Rekeyed)]
        self.counts = Counts(service.operators, rekeyed, clock)
        self.feeds = {each.topic.name: Feed(self.counts.of(each, AgentCounts)) for each in service.agents}
        self.membership: Membership | None = None
        self.traffic = Traffic()
        self._memory = memory
        self._clock = clock
        self._reached = reached
        self._directory = options.directory / service.name / options.worker
        self._memo = Memo(self._directory / "worker.json")
        self.tables: dict[str, LocalTable] = {
            use.name: self._hold(use.topic, use.held, by_key=use.held == "partition") for use in service.tables
        }
        self._waiting_behind = WaitingBehind(options.connection, self._transactional_id)
        self.web = ""
        self._open_local_copies()

    @property
    def phase(self) -> str:
        """What it is doing, or what keeps it from that."""
        if self._broker_answers or self._doing in ENDING:
            return self._doing
        return f"waiting for the broker at {self.options.connection}"

    def waiting(self) -> Mapping[tuple[str, int], int]:
        """How many orders wait, by the name of their join and the partition of its input."""
        return waiting(self.membership)

    def vitals(self) -> Vitals:
        """How far each partition is, and why one may stand still."""
        return self._vitals(self._waiting_behind.problems)

    def _vitals(self, waiting: Mapping[PartitionUse, Problem]) -> Vitals:
        answers = self._broker_answers
        return vitals(self._doing, self.tables, self.membership, self._clock(), answers=answers, waiting=waiting)

    def status(self) -> dict[str, Any]:
        """What this worker is doing, as plain values."""
        return status(
            self.service,
            self.options.worker,
            self.phase,
            self.counts,
            self.traffic,
            self.tables,
            self.membership,
            self._clock(),
        )

    async def peers(self) -> list[Peer] | None:
        """Who is in this worker's group and has what; None while nobody can tell."""
        return None if self.membership is None else await self.membership.consumer.peers()

    async def run(self, stop: asyncio.Event, web: str = "") -> None:
        """Run until `stop` is set. Raises DeclarationError for declarations that do not fit the topics.

        `web` is where the other workers of the service reach this one's web port.
        """
        self.web = web
        stopping = asyncio.create_task(stop.wait())
        running = asyncio.create_task(self._run())
        try:
            await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            if not running.cancelled() and (error := running.exception()) is not None:
                raise _cause(error)
        finally:
            stopping.cancel()
            self._doing = "stopped"
            self._close_tables()

    def _close_tables(self) -> None:
        """A store that cannot be closed has what was written, and must not hide why the worker ends."""
        for table in self.tables.values():
            try:
                table.close()
            except StoreError as error:
                log.warning("%s", error)

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(probe(self.options.connection, self._heard, self._missed))
            facts = await prepare(self.service, self.options.connection, self._say)
            planned = plan(self.service, facts)
            placement = Placement(planned, self._memo)
            placement.note({name: Described(each.topic_id, each.partitions) for name, each in facts.items()})
            self._confirm(facts, placement)
            for topic in planned.internal.values():
                self.tables[topic.name] = self._hold(topic, "partition", by_key=False, internal=topic.revision is None)
                _tell(self.tables[topic.name], facts[topic.name], placement)
            tasks.create_task(self._watch_connection())
            tasks.create_task(self._waiting_behind.watch(lambda: self._vitals({}).partitions))
            tasks.create_task(tend(self.tables.values()))
            tasks.create_task(say_causes(self._cause_logs))
            tasks.create_task(tell_progress(self.tables.values(), self._clock))
            await self._follow(tasks, planned)
            if planned.group_topics:
                await self._join_group(tasks, planned, facts, placement)
            else:
                # Global tables alone: there is no group to join, and the follower goes on.
                self._say("running")

    def _cause_logs(self) -> Iterable[CauseLog]:
        return [*self.counts.causes.all(), *(table.causes for table in self.tables.values())]

    async def _follow(self, tasks: asyncio.TaskGroup, planned: ServicePlan) -> None:
        """Global tables first, to their end: a rebalance never waits for them."""
        followed = {name: table for name, table in self.tables.items() if table.held == "global"}
        for name, table in followed.items():
            if (reactions := planned.reactions.get(name)) is not None:
                table.react = GlobalReacting(
                    table, reactions, self.counts.under(counted_reactions(name), ReactionCounts)
                )
        if followed:
            self._say("recovering")
            tasks.create_task(Follower(self.options.connection, followed).run())
            # Not an event: which partitions there are, and which are caught up, may change meanwhile.
            while not all(table.is_read(0) for table in followed.values()):  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def _join_group(
        self,
        tasks: asyncio.TaskGroup,
        planned: ServicePlan,
        facts: Mapping[str, TopicFacts],
        placement: Placement,
    ) -> None:
        options = self.options
        # One that is reacted to may not be ahead of what the group has committed (rule 26).
        followed = {name: table for name, table in self.tables.items() if name not in planned.reactions}
        standbys = Standbys(options.connection, followed)
        async with Renewal(lambda: self._guarantee(membership)) as renewal:
            self.membership = membership = Membership(
                planned, facts, self.tables, self.counts, self.feeds, self.traffic, options.commit_interval, self._memo,
                placement, standbys, self._replan, renewal, partial(end_transaction, options.connection),
                options.inputs_from, self._clock, self._reached,
            )  # fmt: skip
            group = Group(
                self.service.name, self._transactional_id, options.connection, options.session_timeout,
                options.heartbeat, options.poll_interval, options.fetch_bytes, planned.owned,
                options.standby, options.on_stop == "stay", self.web,
            )  # fmt: skip
            app = App(group, membership, planned.group_topics)
            membership.consumer = cast("Consumer", app.consumer)
            await membership.prepare()
            tasks.create_task(membership.watch_group())
            watching = tasks.create_task(membership.watch_placement())
            tasks.create_task(standbys.run())
            if planned.passed_through:
                tasks.create_task(trim(options.connection, membership.passed_through))
            try:
                await app.start()
                self._say("running")
                for declared in planned.service.agents:
                    running = run_agent(declared, self.feeds[declared.topic.name])
                    tasks.create_task(abandonable(running, STOP_SECONDS, f"agent {declared.name}"))
                await membership.run()
            finally:
                self._say("stopping")
                # It asks over the consumer's connection, which is about to be closed.
                watching.cancel()
                try:
                    await _bounded(membership.leave(), "what is done could not be settled")
                finally:
                    await _bounded(app.stop(), "the group could not be left")

    async def _replan(self) -> ServicePlan:
        planned = plan(self.service, await prepare(self.service, self.options.connection, self._say))
        self._say("running")
        return planned

    def _guarantee(self, membership: Membership) -> Guarantee:
        options, consumer = self.options, membership.consumer
        return new_guarantee(
            options.guarantee, options.connection, self._transactional_id, consumer.commit_offsets, consumer.member
        )

    @property
    def _transactional_id(self) -> str:
        return f"{self.service.name}.{self.options.worker}"

    async def _watch_connection(self) -> None:
        while True:
            for table in self.tables.values():
                table.check_connection()
            await asyncio.sleep(self.options.session_timeout / 4)

    def _hold(self, topic: OwnerTopic, held: Held, *, by_key: bool, internal: bool = False) -> LocalTable:
        # Deletions in a topic that only this service writes are in order: nobody has to remember them.
        retention = timedelta(0) if internal else TOMBSTONE_RETENTION
        table = Table(
            topic, self._directory, self._memory, held, self._clock,
            tombstone_retention=retention, fault=self._reached,
        )  # fmt: skip
        holes = self.options.tables_from == "earliest"
        followed = any(use.name == topic.name for use in self.service.tables)
        decided_on = any(decide.state.name == topic.name for decide in self.service.decides)
        return LocalTable(
            table, self.options.session_timeout, self._clock, by_key=by_key, holes=holes, decided_on=decided_on,
            followed=followed, internal=internal, losses_accepted=self.options.losses_accepted,
        )  # fmt: skip

    def _open_local_copies(self) -> None:
        """Answer from what is on this disk, before any broker is asked."""
        for name, table in self.tables.items():
            table.partition_count = self._memo.partitions.get(name, 0)
            for partition in table.open_local():
                table.state(partition).disconnect()

    def _confirm(self, facts: Mapping[str, TopicFacts], placement: Placement) -> None:
        """The broker is there: local copies of other topics of the same name are dropped."""
        for name, table in self.tables.items():
            _tell(table, facts[name], placement)
        self._memo.remember_partitions({name: table.partition_count for name, table in self.tables.items()})

    def _say(self, doing: str) -> None:
        self._doing = doing
        self._tell()

    def _heard(self) -> None:
        self._broker_answers = True
        self._tell()

    def _missed(self) -> None:
        self._broker_answers = False
        self._tell()

    def _tell(self) -> None:
        if self.phase != self._told:
            self._told = self.phase
            log.info("worker %s of %s: %s", self.options.worker, self.service.name, self._told)


def _tell(table: LocalTable, facts: TopicFacts, placement: Placement) -> None:
    count = placement.partitions(table.topic.name, facts.partitions)
    table.told(facts.topic_id, count, facts.delete_retention_ms / 1000)


async def _bounded(step: Coroutine[Any, Any, Any], otherwise: str) -> None:
    """A step of stopping that must not keep the worker: without it, others notice by the session timeout."""
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await step
    except TimeoutError:
        log.warning("%s within %g s: stopping all the same", otherwise, STOP_SECONDS)


def _cause(error: BaseException) -> BaseException:
    """The first error within a group: its own class says what happened."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, LarderError):
        return error
    failed = WorkerFailedError(f"the worker failed: {type(error).__name__}: {error}")
    failed.__cause__ = error
    return failed
