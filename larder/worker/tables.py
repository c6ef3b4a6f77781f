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
        table = _open(runtime, use)
        table.partition_count = runtime.memo.partitions.get(use.read_from.name, 0)
        table.open_local()


def confirm(runtime: Runtime, plan: ServicePlan, topics: ServiceTopics) -> None:
    """Set each topic as the broker reports it, which drops copies of another topic; add the internal tables.

    A table that the generation of the service reads from another topic is opened again from there.
    """
    for use in plan.service.tables:
        before = runtime.named[use.name]
        if before.stored.topic.name != use.read_from.name:
            before.close()
            del runtime.tables[before.stored.topic.name]
            _open(runtime, use)
    for table in runtime.tables.values():
        topics.confirm(table)
    runtime.memo.remember_partitions({name: table.partition_count for name, table in runtime.tables.items()})
    for topic in plan.internal.values():
        table = runtime.tables[topic.name] = _internal(runtime, topic)
        runtime.named.setdefault(topic.name, table)
        topics.confirm(table)


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


def _open(runtime: Runtime, use: TableUse) -> LocalTable:
    table = runtime.tables[use.read_from.name] = runtime.named[use.name] = _declared(runtime, use)
    return table


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
