"""Reads that require a write or an age: from the command that publishes to the rows of a worker, on a real broker.

The worker's runner, and the look-up that its web port uses, run in the test's own process.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from larder import OwnerTopic, Row, Service
from larder.clock import now
from larder.config.connection import Connection
from larder.kafka.partitioner import partition_of
from larder.queries.lookup import look_up, look_up_after
from larder.queries.lookup_errors import NoSuchKeyError, NotSureError
from larder.store import BehindError, OtherTopicError, Token, TooStaleError
from larder.store.storage.memory import MIB, Memory
from larder.worker.options import Options
from larder.worker.runner import ServiceRunner
from tests.support.topics import COMPACTED, create, until
from tests.support.workers import larder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MODULE = """
    from larder import OwnerTopic, Row, Service

    class Customer(Row):
        customer_id: str
        name: str

    reading = Service("{0}")
    reading.global_table(OwnerTopic("{0}.customers", Customer, key="customer_id", owner="crm"))
"""


class Customer(Row):
    customer_id: str
    name: str


@asynccontextmanager
async def reading(kafka: str, prefix: str, directory: Path) -> AsyncIterator[ServiceRunner]:
    """Run a worker of one global table of customers."""
    service = Service(prefix)
    service.global_table(OwnerTopic(f"{prefix}.customers", Customer, key="customer_id", owner="crm"))
    options = Options(Connection(kafka), directory, "one", 6.0, 1.0, 30.0, 0.2)
    runner, stop = ServiceRunner(service, options, Memory(8 * MIB, 8 * MIB)), asyncio.Event()
    running = asyncio.create_task(runner.run(stop))
    try:
        yield runner
    finally:
        stop.set()
        await running


async def test_a_publisher_reads_its_own_writes_with_its_token(kafka: str, prefix: str, tmp_path: Path) -> None:
    table = f"{prefix}.customers"
    await create(kafka, {table: 3}, COMPACTED)
    keys = [f"c{number}" for number in range(20)]
    assert len({partition_of(key.encode(), 3) for key in keys}) == 3

    async def publish(*arguments: str) -> str:
        ended = await asyncio.to_thread(
            larder, "publish", table, "--as", "crm", *arguments,
            kafka=kafka, directory=tmp_path, module=MODULE.format(prefix),
        )  # fmt: skip
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    async with reading(kafka, prefix, tmp_path / "tables") as runner:

        async def read(key: str, after: str, within: float = 20) -> str:
            found = await look_up_after(
                runner.runtime.tables, table, key, after=after, within=within, clock=now, max_age=6, max_staleness=10
            )
            return json.loads(bytes(found["row"]["name"]))

        await until(lambda: runner.phase == "running", 20, "running")
        for name in ("Ada", "Bea"):
            answer = json.loads(await publish("--json", *(json.dumps({"customer_id": k, "name": name}) for k in keys)))
            assert await asyncio.gather(*(read(key, answer["token"]) for key in keys)) == [name] * len(keys)
        shown = await publish("--delete", "c0")
        token = shown.splitlines()[-1].removeprefix("token: ")
        with pytest.raises(NoSuchKeyError):
            await read("c0", token)
        topic_id = runner.runtime.tables[table].topic_id
        assert topic_id is not None
        with pytest.raises(BehindError, match=r"must be past what was written within 0\.1 s; found partition 0"):
            await read("c1", Token(topic_id, {0: 10_000}).text(), within=0.1)
        with pytest.raises(OtherTopicError):
            await read("c1", Token("11111111-1111-1111-1111-111111111111", {0: 0}).text())
        with pytest.raises(TooStaleError):
            look_up(runner.runtime.tables, table, "c1", now=now() + 60, max_age=6, max_staleness=10)


async def test_no_row_is_called_missing_while_the_partition_of_its_key_is_unknown(prefix: str, tmp_path: Path) -> None:
    table, token = f"{prefix}.customers", Token("11111111-1111-1111-1111-111111111111", {0: 0}).text()
    async with reading("127.0.0.1:1", prefix, tmp_path) as runner:
        with pytest.raises(NotSureError, match="no broker has reported yet"):
            await look_up_after(runner.runtime.tables, table, "c0", after=token, within=1, clock=now, max_age=6)
        with pytest.raises(NotSureError, match="no broker has reported yet"):
            look_up(runner.runtime.tables, table, "c0", now=now(), max_age=6, max_staleness=10)
