"""What the command says of a request with which no worker begins; the workers' part is in `tests/cluster`."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from larder import Service
from larder.client import scaling
from larder.client.scaling import GrowthProgress, cancel, follow
from larder.config.connection import Connection
from larder.declaring.facts import growth_name
from larder.declaring.growth import Cancel, ScaleRequest
from larder.group.assignor import Assignor
from larder.worker.growth_log import GrowthRecords, read_growth, write_record
from tests.support.topics import COMPACTED, create, hanging


@pytest.fixture
async def service(kafka: str, prefix: str) -> Service:
    await create(kafka, {growth_name(prefix): 1}, COMPACTED)
    return Service(prefix)


def silent(_: GrowthProgress) -> None:
    """Report nothing."""


def request(id_: str) -> ScaleRequest:
    return ScaleRequest(id_, 12, 600.0, 0.0)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> asyncio.Queue[int]:
    """Each time that the command reads the records, the offset up to which it does."""
    looks: asyncio.Queue[int] = asyncio.Queue()

    async def looked(connection: Connection, service: str) -> GrowthRecords:
        found = await read_growth(connection, service)
        looks.put_nowait(found.end)
        return found

    monkeypatch.setattr(scaling, "read_growth", looked)
    return looks


async def test_a_request_whose_place_another_took_counts_as_cancelled(
    kafka: str, service: Service, looks: asyncio.Queue[int]
) -> None:
    connection = Connection(kafka)
    await write_record(connection, service.name, request("one"))
    following = asyncio.create_task(follow(connection, service, silent))
    await asyncio.wait_for(looks.get(), 30)
    await asyncio.wait_for(looks.get(), 30)
    await write_record(connection, service.name, request("two"))
    ended = await asyncio.wait_for(following, 30)
    assert ended.as_dict() == {"phase": "cancelled", "reason": "another request has taken its place"}


async def test_a_request_with_which_no_worker_has_begun_is_cancelled(kafka: str, service: Service) -> None:
    connection = Connection(kafka)
    await write_record(connection, service.name, request("one"))
    ended = await asyncio.wait_for(cancel(connection, service, silent), 30)
    assert ended.as_dict() == {"phase": "cancelled", "reason": "by command, before a worker began"}


async def test_a_request_that_a_transaction_hides_is_waited_for(
    kafka: str, service: Service, looks: asyncio.Queue[int]
) -> None:
    """A worker that was killed leaves its transaction open: what was written behind it cannot be read for a while."""
    connection = Connection(kafka)
    async with hanging(kafka, growth_name(service.name), service.name):
        offset = await write_record(connection, service.name, request("one"))
        following = asyncio.create_task(scaling._until_ended(connection, service, "one", silent, offset))
        assert await asyncio.wait_for(looks.get(), 30) <= offset
        await asyncio.wait_for(looks.get(), 30)
        assert not following.done()
    await write_record(connection, service.name, Cancel("one"))
    ended = await asyncio.wait_for(following, 30)
    assert ended.as_dict()["reason"] == "by command, before a worker began"


class Rebalancing:
    """A cluster whose group rebalances while it is first looked at: the broker then tells nothing of its members."""

    def __init__(self) -> None:
        self.looks = 0

    async def reports(self, _: str) -> list[tuple[str, bytes, bytes]] | None:
        self.looks += 1
        if self.looks == 1:
            return None
        report = Assignor(SimpleNamespace(tables=None), dict, standby=False).metadata({"topic"}).encode()
        return [("shop.one", report, b"")]


async def test_which_workers_there_are_is_asked_again_during_a_rebalance() -> None:
    cluster = Rebalancing()
    (peer,) = await scaling._workers(cast("Any", cluster), "shop")
    assert (peer.worker, peer.knows_growth, cluster.looks) == ("one", True, 2)
