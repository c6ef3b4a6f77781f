"""Runs one service in this process: from opening the local copies to joining the group, and back.

`ServiceRunner` starts things in the order in which it reads, and stops them in reverse. It owns each background task:
if one fails, the worker ends with that error.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from larder.assembly.plan import ServicePlan, plan
from larder.clock import now
from larder.counters.cause_log import CauseLog, log_causes
from larder.counters.operator_counts import ReactionCounts
from larder.declaring.facts import TopicFacts, growth_name
from larder.declaring.plurals import counted
from larder.declaring.problems import LarderError, Problem
from larder.declaring.reactions import counted_reactions
from larder.declaring.service import Service
from larder.group.peers import Peer
from larder.kafka.broker_probe import probe
from larder.local_tables.follower import Follower
from larder.local_tables.maintenance import maintain
from larder.local_tables.progress_log import log_progress
from larder.local_tables.standbys import Standbys
from larder.local_tables.table import LocalTable
from larder.operators.calls.remote_rows import FetchRow, nobody
from larder.operators.reactions import GlobalReacting
from larder.operators.user_agents import abandonable, run_agent
from larder.store.storage.memory import Memory
from larder.worker.activity import SCALING, Activity
from larder.worker.call_status import CallStatus, call_statuses
from larder.worker.growth_log import GrowthLog, GrowthRecords
from larder.worker.membership import Membership
from larder.worker.options import Options
from larder.worker.prepare import prepare
from larder.worker.runtime import Runtime
from larder.worker.service_topics import ServiceTopics
from larder.worker.status import growth_of, status, waiting
from larder.worker.stopping import STOP_SECONDS, until_first
from larder.worker.tables import close, confirm, open_declared, watch_connection
from larder.worker.trimming import trim
from larder.worker.vitals import PartitionUse, Vitals, vitals
from larder.worker.waiting_behind import WaitingBehind


class Planned(NamedTuple):
    """The plan of a service, the facts about its topics, and the records of its growth that it follows."""

    plan: ServicePlan
    facts: Mapping[str, TopicFacts]
    records: GrowthRecords


class WorkerFailedError(LarderError):
    """A part of the worker failed; `__cause__` has the error."""


class ServiceRunner:
    """One service, as this worker runs it. Create it inside a running event loop.

    `fetch` reads rows of other services' tables, for calls. `membership` is set once the topics exist. `web` is the
    address at which the other workers reach this one's web port.
    """

    def __init__(
        self,
        service: Service,
        options: Options,
        memory: Memory,
        clock: Callable[[], float] = now,
        reached: Callable[[str], None] = lambda _: None,
        fetch: FetchRow = nobody,
    ) -> None:
        self.runtime = Runtime(service, options, memory, clock, reached, fetch)
        self.membership: Membership | None = None
        self.web = ""
        self._activity = Activity(service.name, options.worker, options.connection)
        self._waiting_behind = WaitingBehind(options.connection, self.runtime.transactional_id)
        open_declared(self.runtime)

    @property
    def phase(self) -> str:
        """What the worker is doing, or what it is waiting for."""
        return str(self._activity)

    def waiting(self) -> Mapping[tuple[str, int], int]:
        """Return how many records wait, by join and input partition."""
        return waiting(self.membership)

    def calls(self) -> dict[str, CallStatus]:
        """Return the status of each call of the service, by name."""
        return call_statuses(self.runtime, self.membership)

    def vitals(self) -> Vitals:
        """Return the position of each partition, and why one may not move."""
        return self._vitals(self._waiting_behind.problems)

    def _vitals(self, waiting: Mapping[PartitionUse, Problem]) -> Vitals:
        doing, answers, now_ = self._activity.doing, self._activity.answers, self.runtime.clock()
        asked = [*self.runtime.named.values()]
        return vitals(
            doing, self.runtime.tables, self.membership, now_, answers=answers, waiting=waiting, asked=asked
        )  # fmt: skip

    def status(self) -> dict[str, Any]:
        """Return what this worker is doing, as plain values."""
        return status(self.runtime, self.phase, self.membership)

    def growth(self) -> dict[str, Any] | None:
        """Return where the growth of the service stands; None if it has never been scaled."""
        return growth_of(self.membership, self.runtime.clock())

    async def peers(self) -> list[Peer] | None:
        """Return the members of this worker's group and their partitions; None while this is unknown."""
        return None if self.membership is None else await self.membership.peers()

    async def run(self, stop: asyncio.Event, web: str = "") -> None:
        """Run until `stop` is set. Raise DeclarationError if the declarations do not fit the topics."""
        self.web = web
        stopping = asyncio.create_task(stop.wait())
        running = asyncio.create_task(self._run())
        try:
            await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
            # While the worker still processes their outcomes.
            await self.runtime.callers.stop()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            if not running.cancelled() and (error := running.exception()) is not None:
                raise _cause(error)
        finally:
            stopping.cancel()
            self._activity.end()
            if self.membership is not None:
                # Its status is still asked for, and must not look into closed tables.
                self.membership.assignments.stop_releasing()
            close(self.runtime)

    async def _run(self) -> None:
        runtime, activity = self.runtime, self._activity
        connection, tables = runtime.options.connection, runtime.tables.values()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(probe(connection, activity.answered, activity.missed))
            planned = await self._planned()
            topics = self._confirmed(planned)
            tasks.create_task(watch_connection(runtime))
            tasks.create_task(self._waiting_behind.watch(lambda: self._vitals({}).partitions))
            tasks.create_task(maintain(tables))
            tasks.create_task(log_causes(self._cause_logs))
            tasks.create_task(log_progress(tables, runtime.clock))
            await self._follow(tasks, planned.plan)
            for agent in planned.plan.service.agents:
                running = run_agent(agent, runtime.feeds[agent.topic.name])
                tasks.create_task(abandonable(running, STOP_SECONDS, f"agent {agent.name}"))
            if planned.plan.group_topics:
                await self._stay_in_group(tasks, planned, topics)
            else:
                # Only global tables: there is no group to join, and the follower keeps running.
                activity.begin("running")

    def _cause_logs(self) -> Iterable[CauseLog]:
        return [*self.runtime.counts.causes.all(), *(table.causes for table in self.runtime.tables.values())]

    async def _follow(self, tasks: asyncio.TaskGroup, planned: ServicePlan) -> None:
        """Read global tables to their end first, so that no rebalance waits for them."""
        runtime = self.runtime
        followed = {name: table for name, table in runtime.tables.items() if table.held == "global"}
        for name, table in followed.items():
            if (reactions := planned.reactions.get(name)) is not None:
                counts = runtime.counts.under(counted_reactions(name), ReactionCounts)
                table.react = GlobalReacting(table, reactions, counts)
        if followed:
            self._activity.begin("recovering")
            tasks.create_task(Follower(runtime.options.connection, followed).run())
            # Not an event: partitions may be added, or fall behind again, meanwhile.
            while not all(table.at(0).is_read() for table in followed.values()):  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    def _confirmed(self, planned: Planned) -> ServiceTopics:
        topics = ServiceTopics(planned.plan, planned.facts, self.runtime.memo)
        confirm(self.runtime, planned.plan, topics)
        return topics

    async def _stay_in_group(self, tasks: asyncio.TaskGroup, planned: Planned, topics: ServiceTopics) -> None:
        """Work in the group, by one plan after the other while the service is being scaled."""
        service = self.runtime.declared.name
        growth = None
        if growth_name(service) in planned.facts:
            growth = GrowthLog(self.runtime.options.connection, service, planned.records)
            tasks.create_task(growth.follow())
        while True:
            async with asyncio.TaskGroup() as membership:
                await self._join_group(membership, planned, topics, growth)
            planned = await self._planned()
            if growth is not None and planned.records.end >= growth.known.end:
                growth.known = planned.records
            topics = self._confirmed(planned)

    async def _join_group(
        self, tasks: asyncio.TaskGroup, current: Planned, topics: ServiceTopics, growth: GrowthLog | None
    ) -> None:
        """Be a member of the group until the service needs another plan."""
        runtime, connection, planned = self.runtime, self.runtime.options.connection, current.plan
        # A table with reactions must not be ahead of what the group has committed (rule 26).
        followed = {name: table for name, table in runtime.tables.items() if name not in planned.reactions}
        standbys = Standbys(connection, followed)
        self.membership = membership = Membership(
            # The log may have read on since the plan was made.
            runtime,
            planned,
            topics,
            standbys,
            self._replan,
            self.web,
            growth,
            current.records.state.step,
        )
        async with membership.publishing():
            mirrored = self._mirrored(planned)
            paused = planned.growth is not None
            for table in mirrored.values():
                table.pause(paused=paused)
            hops = membership.hops(runtime, {} if paused else mirrored)
            beside = [
                membership.watch_group(), membership.watch_placement(), hops.watch(), standbys.run(),
                membership.driving.drive(), membership.inputs.new.watch(),
            ]  # fmt: skip
            if planned.passed_through:
                beside.append(trim(connection, membership.passed_through))
            watching = [tasks.create_task(each) for each in beside]
            try:
                await membership.join()
                self._activity.begin(_doing(planned))
                await until_first(membership.run(), membership.follow_growth(growth) if growth else None)
                membership.stay()
            except BaseException:
                self._activity.begin("stopping")
                raise
            finally:
                # They use the consumer's connection, which is about to be closed.
                for each in watching:
                    each.cancel()
                await membership.leave()

    def _mirrored(self, planned: ServicePlan) -> Mapping[str, LocalTable]:
        """Return the tables that are read from mirrors, by the topic of their source."""
        return {use.name: self.runtime.tables[use.read_from.name] for use in planned.service.tables if use.mirrored}

    async def _replan(self) -> ServicePlan:
        planned = await self._planned()
        self._activity.begin(_doing(planned.plan))
        return planned.plan

    async def _planned(self) -> Planned:
        """Plan the service by the current topics, and by its generation."""
        runtime = self.runtime
        prepared = await prepare(
            runtime.declared, runtime.options.connection, self._activity.begin, guarantee=runtime.options.guarantee
        )
        if prepared.generation is not None:
            runtime.memo.remember_generation(prepared.generation)
        runtime.place(prepared.service)
        return Planned(plan(prepared.service, prepared.facts, prepared.following), prepared.facts, prepared.records)


def _doing(planned: ServicePlan) -> str:
    return "running" if planned.growth is None else f"{SCALING}{counted(planned.growth.partitions, 'partition')}"


def _cause(error: BaseException) -> BaseException:
    """Return the first error within a group, whose class says what happened."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, LarderError):
        return error
    failed = WorkerFailedError(f"the worker failed: {type(error).__name__}: {error}")
    failed.__cause__ = error
    return failed
