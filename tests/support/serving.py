"""Web ports of workers over real tables, in the process of the test: one, or several that know each other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import ClientSession
from yarl import URL

from larder import OwnerTopic
from larder.group.peers import Peer
from larder.kafka.partitioner import partition_of
from larder.local_tables.role import TableRole
from larder.local_tables.table import LocalTable
from larder.queries.directory import Directory
from larder.queries.paths import row_path
from larder.store import Table
from larder.web import Sources, make_app, start_web, stop_web
from tests.larder.store.samples import Sent, customers, small_memory
from tests.support.later import require_retry_after

NOW = 1_000_000.0
MAX_AGE = 6.0


def local_table(stored: Table, partition_count: int) -> LocalTable:
    """Return a table of a worker whose broker reported that number of partitions."""
    table = LocalTable(stored, TableRole(), MAX_AGE, lambda: NOW)
    table.partition_count = partition_count
    return table


def sources(tables: dict[str, Any] | None = None, **others: Any) -> Sources:
    names, worker = list(tables or {}), others.pop("worker", "one")
    return Sources(lambda: STATUS | {"worker": worker}, tables or {}, MAX_AGE, "shipping", worker, names, **others)


STATUS = {
    "service": "shipping", "worker": "one", "phase": "running", "processed": 0,
    "joins": [], "decides": [], "inputs": [], "held_back": [],
    "reactions": [], "agents": [], "operators": [],
"rekeyings": [], "dead_letters": {"total": 0, "inputs": [], "causes": []}, "growth": None,
    "tables": [], "partition_counts": {},
}  # fmt: skip


class Served:
    """The web port of a worker over one table. `now` is its clock."""

    def __init__(self, held: Any) -> None:
        self.held = held
        self.now = NOW
        self.port = 0
        self.asked = 0

    @property
    def table(self) -> Table:
        return self.held.stored

    def catch_up(self, *partitions: int) -> None:
        for partition in partitions:
            self.table.observe(partition, self.table.position(partition), self.now)

    async def get(self, path: str, **headers: str) -> tuple[int, dict[str, Any]]:
        async with ClientSession() as session, session.get(self.address(path), headers=headers) as answer:
            body: dict[str, Any] = await answer.json()
            require_retry_after(answer.status, answer.headers)
            return answer.status, body

    async def row(self, key: str, table: str | None = None, query: str = "") -> tuple[int, dict[str, Any]]:
        return await self.get(row_path(table or self.table.topic.name, key) + query)

    def address(self, path: str) -> URL:
        return URL(f"http://127.0.0.1:{self.port}{path}", encoded=True)

    @property
    def web(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@asynccontextmanager
async def serving_from(here: Sources) -> AsyncIterator[Served]:
    app = make_app(here)
    served = Served(None)
    served.port = await start_web(app, "127.0.0.1", 0)
    try:
        yield served
    finally:
        await stop_web(app)


@asynccontextmanager
async def serving(held: Any, **others: Any) -> AsyncIterator[Served]:
    served = Served(held)
    app = make_app(sources({held.topic.name: held}, clock=lambda: served.now, **others))
    served.port = await start_web(app, "127.0.0.1", 0)
    try:
        yield served
    finally:
        await stop_web(app)


@dataclass
class Fleet:
    """Workers that share the partitions of one table, and what they know of each other."""

    partitions: int
    workers: dict[str, Served] = field(default_factory=dict)
    peers: list[Peer] = field(default_factory=list)

    def __getitem__(self, name: str) -> Served:
        return self.workers[name]

    async def list_peers(self) -> Sequence[Peer]:
        return list(self.peers)

    def put(self, key: str, offset: int, value: bytes, *also: str) -> int:
        """Put a row into the stores of its partition, both that of the owner and those of `also`."""
        partition = partition_of(key.encode(), self.partitions)
        for name, served in self.workers.items():
            topic = served.table.topic.name
            processes = any(peer.worker == name and peer.processes(topic, partition) for peer in self.peers)
            if partition in served.table.partitions and (processes or name in also):
                served.table.apply(partition, [Sent(offset, key.encode(), value)])
        return partition

    def key_in(self, partition: int) -> str:
        return next(key for key in map(str, range(1000)) if partition_of(key.encode(), self.partitions) == partition)

    def catch_up(self) -> None:
        for served in self.workers.values():
            served.catch_up(*served.table.partitions)


@asynccontextmanager
async def fleet(
    directory: Path,
    shares: dict[str, Sequence[int]],
    standby: dict[str, Sequence[int]] | None = None,
    topic: OwnerTopic = customers,
    **others: Any,
) -> AsyncIterator[Fleet]:
    """Yield workers. `shares`: the partitions that each processes; `standby`: the partitions that each copies."""
    made = Fleet(sum(map(len, shares.values())))
    async with AsyncExitStack() as stack:
        for name, numbers in shares.items():
            copies = (standby or {}).get(name, ())
            table = Table(topic, directory / name, small_memory(), "partition", lambda: NOW)
            table.open([*numbers, *copies], "id-1")
            stack.callback(table.close)
            for partition in copies:
                table.state(partition).stand_by(standby=True)
            served = await stack.enter_async_context(
                serving(
                    local_table(table, made.partitions), worker=name, directory=Directory(made.list_peers), **others
                )
            )
            made.workers[name] = served
            made.peers.append(Peer(name, served.web, {topic.name: list(numbers)}, {topic.name: list(copies)}))
        yield made
