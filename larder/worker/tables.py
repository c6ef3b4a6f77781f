"""The tables of a worker, from the copies on its disk to those that are confirmed by the broker."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

from larder.assembly.plan import ServicePlan
from larder.declaring.topics import OwnerTopic
from larder.local_tables.table import LocalTable
from larder.store.errors import StoreError
from larder.store.storage.deletion_expiry import TOMBSTONE_RETENTION
from larder.store.table import Held, Table
from larder.worker.runtime import Runtime
from larder.worker.service_topics import ServiceTopics

log = logging.getLogger("larder")


def open_declared(runtime: Runtime) -> None:
    """Open what is on this disk of the declared tables, to answer from it before any broker is asked."""
    for use in runtime.service.tables:
        table = runtime.tables[use.name] = _held(runtime, use.topic, use.held, by_key=use.held == "partition")
        table.partition_count = runtime.memo.partitions.get(use.name, 0)
        for partition in table.open_local():
            table.state(partition).disconnect()


def confirm(runtime: Runtime, plan: ServicePlan, topics: ServiceTopics) -> None:
    """Tell tables what the broker says, which drops copies of another topic of that name; add the internal tables."""
    for table in runtime.tables.values():
        topics.confirm(table)
    runtime.memo.remember_partitions({name: table.partition_count for name, table in runtime.tables.items()})
    for topic in plan.internal.values():
        table = _held(runtime, topic, "partition", by_key=False, internal=topic.revision is None)
        runtime.tables[topic.name] = table
        topics.confirm(table)


async def watch_connection(runtime: Runtime) -> None:
    """Have tables notice that the broker has said nothing for too long, until cancelled."""
    while True:
        for table in runtime.tables.values():
            table.check_connection()
        await asyncio.sleep(runtime.options.session_timeout / 4)


def close(runtime: Runtime) -> None:
    """Close all stores. One that cannot be closed has what was written, and must not hide why the worker ends."""
    for table in runtime.tables.values():
        try:
            table.close()
        except StoreError as error:
            log.warning("%s", error)


def _held(runtime: Runtime, topic: OwnerTopic, held: Held, *, by_key: bool, internal: bool = False) -> LocalTable:
    service, options = runtime.service, runtime.options
    # Deletions in a topic that only this service writes are in order: nobody has to remember them.
    retention = timedelta(0) if internal else TOMBSTONE_RETENTION
    table = Table(
        topic, runtime.directory, runtime.memory, held, runtime.clock,
        tombstone_retention=retention, fault=runtime.reached,
    )  # fmt: skip
    return LocalTable(
        table, options.session_timeout, runtime.clock, by_key=by_key, holes=options.tables_from == "earliest",
        decided_on=any(decide.state.name == topic.name for decide in service.decides),
        followed=any(use.name == topic.name for use in service.tables), internal=internal,
        losses_accepted=options.losses_accepted,
    )  # fmt: skip
