"""The tables of a worker: first the copies on its disk, then confirmed by the broker."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

from larder.assembly.plan import ServicePlan
from larder.declaring.sources import TableUse
from larder.declaring.topics import OwnerTopic
from larder.local_tables.role import TableRole
from larder.local_tables.table import LocalTable
from larder.store.errors import StoreError
from larder.store.storage.deletion_expiry import TOMBSTONE_RETENTION
from larder.store.table import Held, Table
from larder.worker.runtime import Runtime
from larder.worker.service_topics import ServiceTopics

log = logging.getLogger("larder")


def open_declared(runtime: Runtime) -> None:
    """Open the local copies of the declared tables, to answer from them before the broker is reached."""
    for use in runtime.service.tables:
        table = runtime.tables[use.read_from.name] = runtime.named[use.name] = _declared(runtime, use)
        table.partition_count = runtime.memo.partitions.get(use.read_from.name, 0)
        table.open_local()


def confirm(runtime: Runtime, plan: ServicePlan, topics: ServiceTopics) -> None:
    """Set each topic as the broker reports it, which drops copies of another topic; add the tables that are missing.

    Tables that another plan read, and this one does not, are closed.
    """
    service = plan.service
    growing = () if plan.growth is None else plan.growth.tables
    uses = {use.read_from.name: use for use in (*service.tables, *service.kept, *growing)}
    for name in runtime.tables.keys() - uses.keys() - plan.internal.keys():
        runtime.tables.pop(name).close()
    for name, use in uses.items():
        if name not in runtime.tables:
            runtime.tables[name] = _declared(runtime, use)
        topics.confirm(runtime.tables[name])
    runtime.memo.remember_partitions({name: runtime.tables[name].partition_count for name in uses})
    for name, topic in plan.internal.items():
        if name not in runtime.tables:
            runtime.tables[name] = _internal(runtime, topic)
        topics.confirm(runtime.tables[name])
    named = _named(runtime, plan)
    runtime.named.clear()
    runtime.named.update(named)


def _named(runtime: Runtime, plan: ServicePlan) -> dict[str, LocalTable]:
    """Return the tables by the names under which users know them."""
    service = plan.service
    answering = [use for use in service.kept if use.name in service.answering]
    declared = {use.name: runtime.tables[use.read_from.name] for use in (*service.tables, *answering)}
    return {name: runtime.tables[name] for name in plan.internal} | declared


async def watch_connection(runtime: Runtime) -> None:
    """Let tables notice that the broker has been silent for too long, until cancelled."""
    while True:
        for table in runtime.tables.values():
            table.check_connection()
        await asyncio.sleep(runtime.options.session_timeout / 4)


def close(runtime: Runtime) -> None:
    """Close all stores. If one fails, its data is safe, and its error must not hide why the worker ends."""
    for table in runtime.tables.values():
        try:
            table.close()
        except StoreError as error:
            log.warning("%s", error)


def _declared(runtime: Runtime, use: TableUse) -> LocalTable:
    options = runtime.options
    role = TableRole(
        by_key=use.held == "partition",
        followed=True,
        mirrored=use.mirrored,
        decided_on=any(decide.state.name == use.name for decide in runtime.service.decides),
        gaps_allowed=options.tables_from == "earliest",
        losses_accepted=options.losses_accepted,
    )
    return _table(runtime, use.read_from, use.held, role, use.topic)


def _internal(runtime: Runtime, topic: OwnerTopic) -> LocalTable:
    """Create a table of an operator. One with revisions holds gathered results, which other services read as well."""
    options = runtime.options
    role = TableRole(
        internal=topic.revision is None,
        gaps_allowed=options.tables_from == "earliest",
        losses_accepted=options.losses_accepted,
    )
    return _table(runtime, topic, "partition", role)


def _table(
    runtime: Runtime, topic: OwnerTopic, held: Held, role: TableRole, declared: OwnerTopic | None = None
) -> LocalTable:
    # Deletions in a topic that only this service writes are in order, so they need not be remembered.
    retention = timedelta(0) if role.internal else TOMBSTONE_RETENTION
    stored = Table(
        topic, runtime.directory, runtime.memory, held, runtime.clock,
        tombstone_retention=retention, fault=runtime.reached,
    )  # fmt: skip
    return LocalTable(stored, role, runtime.options.session_timeout, runtime.clock, declared)
