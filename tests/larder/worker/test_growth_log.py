"""A worker follows the records of its service's growth, also on a broker that is away for a while."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from larder.config.connection import Connection
from larder.declaring.facts import growth_name
from larder.declaring.growth import ScaleRequest
from larder.local_broker.ports import free_port
from larder.worker.growth_log import GrowthLog, GrowthRecords, write_record
from tests.support.proxy import Proxy
from tests.support.topics import COMPACTED, create


@pytest.fixture
async def service(kafka: str, prefix: str) -> str:
    await create(kafka, {growth_name(prefix): 1}, COMPACTED)
    return prefix


@contextlib.asynccontextmanager
async def following(log: GrowthLog) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(log.follow())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def request(id_: str) -> ScaleRequest:
    return ScaleRequest(id_, 6, 600.0, 0.0)


async def test_a_log_is_followed_as_soon_as_the_broker_answers(kafka: str, service: str) -> None:
    port = free_port()
    log = GrowthLog(Connection(f"127.0.0.1:{port}"), service, GrowthRecords())
    async with following(log) as task:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(task), 1.5)
        proxy = Proxy(port, int(kafka.rpartition(":")[2]))
        await proxy.start()
        try:
            news = asyncio.create_task(log.news())
            await write_record(Connection(kafka), service, request("one"))
            await asyncio.wait_for(news, 30)
            assert log.known.state.request == request("one")
        finally:
            await proxy.stop()


async def test_an_assignment_learns_of_all_records_before_the_log_is_followed(kafka: str, service: str) -> None:
    """What a worker read before it joined its group may be out of date by then (rule 28)."""
    log = GrowthLog(Connection(kafka), service, GrowthRecords())
    news = asyncio.create_task(log.news())
    await write_record(Connection(kafka), service, request("one"))
    assert (await log.refresh()).state.request == request("one")
    await asyncio.wait_for(news, 5)
    async with following(log):
        news = asyncio.create_task(log.news())
        await write_record(Connection(kafka), service, request("two"))
        await asyncio.wait_for(news, 30)
        assert log.known.state.request == request("two")
