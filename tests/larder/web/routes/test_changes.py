"""Live changes of a table: each is sent once, and a client resumes after a break or gets a reset. Real HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiohttp import ClientResponse, ClientSession

from larder.local_tables.role import TableRole
from larder.local_tables.table import LocalTable
from larder.queries import changes
from larder.queries.changes import Ring, Watches
from larder.queries.directory import Directory
from larder.queries.lookup_errors import TooBusyError
from larder.queries.positions import positions_text, read_positions
from larder.queries.routing import Shares
from larder.queries.watching import Watched
from larder.store import Table
from larder.web.peers import changes as changes_of_all
from larder.web.peers.changes import OfAll
from larder.web.peers.client import Hopping
from tests.larder.store.samples import customers, gone, row, small_memory
from tests.support.described import require_described, require_schema
from tests.support.serving import NOW, Fleet, Served, fleet, serving

PATH = f"/tables/{customers.name}/changes"


class Event(NamedTuple):
    id: str
    name: str
    data: dict[str, Any]


class Listening:
    """A client of server-sent events."""

    def __init__(self, answer: ClientResponse) -> None:
        self.answer = answer
        self.last = ""

    async def next(self, seconds: float = 5) -> Event:
        async with asyncio.timeout(seconds):
            fields: dict[str, str] = {}
            while "data" not in fields or fields.get("end") is None:
                line = (await self.answer.content.readline()).decode()
                assert line, "the stream has ended"
                if line == "\n":
                    if "data" in fields:
                        break
                    continue
                name, _, value = line.rstrip("\n").partition(": ")
                fields[name] = value
            self.last = fields["id"]
            event = Event(fields["id"], fields["event"], json.loads(fields["data"]))
            require_schema(f"{event.name.capitalize()}Event", event.data)
            return event


@asynccontextmanager
async def listening(served: Served, query: str = "", last: str | None = None) -> AsyncIterator[Listening]:
    headers = {} if last is None else {"Last-Event-ID": last}
    async with ClientSession() as session, session.get(served.address(PATH + query), headers=headers) as answer:
        require_described(PATH, answer.status, answer.content_type, "", answer.headers)
        yield Listening(answer)


@pytest.fixture
def held(tmp_path: Path) -> Iterator[LocalTable]:
    table = Table(customers, tmp_path, small_memory(), "global", lambda: NOW)
    found = LocalTable(table, TableRole(), 6.0, lambda: NOW)
    found.set_topic("id-1", 2)
    found.open([0, 1])
    yield found
    table.close()


async def test_each_change_is_sent_once_with_its_row_and_a_deletion_without_one(held: LocalTable) -> None:
    async with serving(held) as served, listening(served) as stream:
        assert await stream.next() == Event(
            "0.0-1.0", "start", {"table": customers.name, "worker": "one", "partitions": [0, 1]}
        )
        held.apply(0, [row(0, "ada", 1, name="Ada"), row(1, "bob", 1)], 2)
        first, second = await stream.next(), await stream.next()
        assert (first.id, first.name, first.data["key"], first.data["offset"]) == ("0.1-1.0", "row", "ada", 0)
        assert (first.data["row"]["name"], first.data["revision"], first.data["partition"]) == ("Ada", 1, 0)
        assert (second.id, second.data["key"]) == ("0.2-1.0", "bob")
        held.apply(0, [row(2, "ada", 1, name="Ada")], 3)
        held.apply(1, [gone(0, "ada", 2)], 1)
        event = await stream.next()
        assert (event.id, event.data["key"], event.data["row"]) == ("0.2-1.1", "ada", None), (
            "an unchanged row is not sent"
        )


async def test_a_client_resumes_after_its_last_event_without_gap_or_repetition(held: LocalTable) -> None:
    async with serving(held) as served:
        async with listening(served) as stream:
            await stream.next()
            held.apply(0, [row(0, "a", 1), row(1, "b", 1)], 2)
            assert (await stream.next()).data["key"] == "a"
            last = stream.last
        held.apply(1, [row(0, "c", 1)], 1)
        held.apply(0, [row(2, "d", 1)], 3)
        async with listening(served, last=last) as stream:
            assert (await stream.next()).name == "start"
            assert [(await stream.next()).data["key"] for _ in range(3)] == ["b", "c", "d"]
            assert stream.last == "0.3-1.1"


@pytest.mark.parametrize("last", ["0.0-1.0", "nonsense", "0.5", "0.5-1.0", "0.99999999999999999999-1.0", "1" * 5_000])
async def test_a_client_whose_last_event_is_no_longer_kept_gets_a_reset(held: LocalTable, last: str) -> None:
    held.apply(0, [row(0, "a", 1)], 1)
    async with serving(held) as served, listening(served, last=last) as stream:
        event = await stream.next()
        assert (event.id, event.name) == ("0.1-1.0", "reset")
        assert (await stream.next()).name == "start"
        held.apply(0, [row(1, "b", 1)], 2)
        assert (await stream.next()).data["key"] == "b"


async def test_a_client_that_is_ahead_of_this_worker_resumes_after_its_last_event(held: LocalTable) -> None:
    held.apply(0, [row(0, "a", 1)], 1)
    held.stored.observe(0, 3, NOW)
    held.stored.observe(1, 0, NOW)
    async with serving(held) as served, listening(served, last="0.2-1.0") as stream:
        event = await stream.next()
        assert (event.id, event.name) == ("0.2-1.0", "start")
        held.apply(0, [row(1, "b", 1), row(2, "c", 1)], 3)
        assert (await stream.next()).data["key"] == "c"


async def test_only_changes_of_keys_with_the_prefix_are_sent(held: LocalTable) -> None:
    async with serving(held) as served, listening(served, "?prefix=b") as stream:
        await stream.next()
        held.apply(0, [row(0, "a", 1), row(1, "b1", 1), row(2, "c", 1), row(3, "b2", 1)], 4)
        assert [(await stream.next()).data["key"] for _ in range(2)] == ["b1", "b2"]


async def test_a_stream_ends_with_a_reset_when_its_partitions_are_read_again(held: LocalTable) -> None:
    async with serving(held) as served, listening(served) as stream:
        await stream.next()
        held.apply(0, [row(0, "a", 1)], 1)
        await stream.next()
        held.set_topic("id-2", 2)
        event = await stream.next()
        assert (event.name, event.id) == ("reset", "0.0-1.0")
        assert await stream.answer.content.read() == b""


async def test_every_client_gets_a_reset_when_partitions_are_read_again(held: LocalTable) -> None:
    async with serving(held) as served, listening(served) as one, listening(served) as two:
        for stream in (one, two):
            await stream.next()
        held.set_topic("id-2", 2)
        assert [(await stream.next()).name for stream in (one, two)] == ["reset", "reset"]


async def test_a_client_gets_a_reset_if_changes_cannot_be_read(
    held: LocalTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError

    async with serving(held) as served, listening(served) as stream:
        await stream.next()
        monkeypatch.setattr(held.stored, "latest", broken)
        held.apply(0, [row(0, "a", 1)], 1)
        event = await stream.next()
        assert (event.name, event.id) == ("reset", "0.1-1.0")


async def test_the_removal_of_rows_that_the_topic_lacks_is_sent_and_an_absent_client_gets_a_reset(
    held: LocalTable,
) -> None:
    async with serving(held) as served:
        async with listening(served) as stream:
            await stream.next()
            held.apply(0, [row(0, "a", 1)], 1)
            last = (await stream.next()).id
            assert held.changes.watch is not None
            held.changes.watch(None, [b"a"])
            event = await stream.next()
            assert (event.data, event.id) == (
                {"key": "a", "row": None, "partition": None, "offset": None, "revision": None}, last,
            )  # fmt: skip
        async with listening(served, last=last) as stream:
            assert (await stream.next()).name == "reset"


async def test_a_client_that_falls_behind_the_kept_changes_gets_a_reset(
    held: LocalTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "KEPT_BYTES", 4_000_000)
    async with serving(held) as served, listening(served) as stream:
        await stream.next()
        for offset in range(400):
            held.apply(0, [row(offset, f"k{offset}", 1, name="x" * 100_000)], offset + 1)
            await asyncio.sleep(0)
        names = set()
        async with asyncio.timeout(20):
            while "reset" not in names:
                names.add((await stream.next()).name)
        assert await stream.answer.content.read() == b""


async def test_the_number_of_kept_changes_is_bounded(held: LocalTable) -> None:
    ring = Ring(held, kept=100)
    for offset in range(1_000):
        ring.take(0, held.apply(0, [row(offset, f"k{offset}", 1)], offset + 1) or [f"k{offset}".encode()])
    assert (ring.first, ring.end) == (900, 1_000)
    assert ring.floors[0] == 900
    assert ring.has_all_since({0: 900, 1: 0}, [0, 1])
    assert not ring.has_all_since({0: 899, 1: 0}, [0, 1])


async def test_changes_are_kept_only_while_a_client_watches_and_shortly_after(held: LocalTable) -> None:
    watches = Watches(limit=2, kept_seconds=0.05)
    assert held.changes.watch is None
    with watches.watched(held) as ring, watches.watched(held) as same:
        assert ring is same
        assert held.changes.watch is not None
        with pytest.raises(TooBusyError), watches.watched(held):
            pass
    assert held.changes.watch is not None
    with watches.watched(held) as again:
        assert again is ring, "it was kept for returning clients"
        await asyncio.sleep(0.1)
        assert held.changes.watch is not None
    async with asyncio.timeout(5):
        while held.changes.watch is not None:  # noqa: ASYNC110 - it ends by itself
            await asyncio.sleep(0.01)


async def test_a_stopping_worker_ends_its_streams_at_once(held: LocalTable) -> None:
    async with asyncio.timeout(5):
        async with serving(held) as served:
            session = ClientSession()
            answer = await session.get(served.address(PATH))
            await answer.content.readline()
        assert b"event: start" in await answer.content.read()
        await session.close()


def _put(workers: Fleet, key: str, offset: int) -> None:
    """Put a row into its partition, and notify the watchers, as a worker does."""
    partition = workers.put(key, offset, json.dumps({"customer_id": key, "revision": offset}).encode())
    for served in workers.workers.values():
        if served.held.changes.watch is not None and partition in served.table.partitions:
            served.held.changes.watch(partition, [key.encode()])


async def test_any_worker_streams_the_changes_of_all_workers(tmp_path: Path) -> None:
    async with fleet(tmp_path, {"one": [0], "two": [1], "three": [2]}, {"one": [1]}) as workers:
        workers.catch_up()
        keys = [workers.key_in(partition) for partition in range(3)]
        async with listening(workers["one"]) as stream:
            start = await stream.next()
            assert (start.name, start.data["partitions"], start.id) == ("start", [0, 1, 2], "0.0-1.0-2.0")
            for key in keys:
                _put(workers, key, 5)
            events = [await stream.next() for _ in keys]
            assert {(each.data["key"], each.data["partition"]) for each in events} == {
                (key, partition) for partition, key in enumerate(keys)
            }
            assert stream.last == "0.6-1.6-2.6"
        async with listening(workers["two"]) as stream:
            await stream.next()
            last = stream.last
        for key in keys:
            _put(workers, key, 6)
        async with listening(workers["two"], last=last) as stream:
            assert (await stream.next()).name == "start"
            assert {(await stream.next()).data["key"] for _ in keys} == set(keys), "no change during the break is lost"
            workers.peers[2] = workers.peers[2]._replace(partitions={})
            async with asyncio.timeout(10):
                await stream.answer.content.read()
        async with ClientSession() as session, session.get(workers["one"].address(PATH)) as answer:
            said = await answer.json()
            assert (answer.status, said["type"], said["partition"]) == (503, "urn:larder:unserved", 2)
            require_described(PATH, 503, answer.content_type, said, answer.headers)


async def test_a_stream_of_all_workers_sends_one_reset_for_changes_that_are_no_longer_kept(tmp_path: Path) -> None:
    async with fleet(tmp_path, {"one": [0], "two": [1], "three": [2]}) as workers:
        for partition in range(3):
            _put(workers, workers.key_in(partition), 5)
        workers.catch_up()
        async with listening(workers["one"], last="0.1-1.1-2.1") as stream:
            assert [(await stream.next()).name for _ in range(2)] == ["reset", "start"]
            assert stream.last == "0.6-1.6-2.6"
            _put(workers, workers.key_in(1), 7)
            assert (await stream.next()).name == "row"


async def test_streams_wait_until_every_worker_has_started_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(20)
        writer.close()

    monkeypatch.setattr(changes_of_all, "LOOK_SECONDS", 0.02)
    hanging = await asyncio.start_server(hang, "127.0.0.1", 0)
    async with fleet(tmp_path, {"one": [0], "two": [1]}) as workers:
        workers.catch_up()
        held, hopping, key = workers["one"].held, Hopping(), workers.key_in(0)
        two = workers.peers[1]._replace(web=f"http://127.0.0.1:{hanging.sockets[0].getsockname()[1]}")
        ring, shares = Ring(held), Shares([0], [(two, [1])], [])
        mine = Watched(held, ring, b"", [0], "")
        async with OfAll(Directory(workers.list_peers), hopping, held, shares, mine, b"", "") as merged:
            for offset in range(20):
                workers.put(key, offset, json.dumps({"customer_id": key, "revision": offset}).encode())
                ring.take(0, [key.encode()])
                assert await merged.next() == []
            assert [event.name for event in merged._started] == ["start"]
        await hopping.close()
    hanging.close()


async def test_a_stream_ends_if_a_worker_does_not_start_its_own_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes_of_all, "START_SECONDS", 0.2)

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n: here\n\n")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    async with server, fleet(tmp_path, {"one": [0], "two": [1]}) as workers:
        workers.catch_up()
        web = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        workers.peers[1] = workers.peers[1]._replace(web=web)
        async with listening(workers["one"]) as stream, asyncio.timeout(5):
            assert b"event:" not in await stream.answer.content.read()


@pytest.mark.parametrize(
    ("path", "status"),
    [(f"{PATH}?partition=x", 400), (f"{PATH}?prefix=a&prefix=b", 400), ("/tables/none/changes", 404)],
)
async def test_an_invalid_watch_request_is_refused_as_described(held: LocalTable, path: str, status: int) -> None:
    async with serving(held) as served, ClientSession() as session, session.get(served.address(path)) as answer:
        assert answer.status == status
        require_described(path, status, answer.content_type, await answer.json(), answer.headers)


def test_event_ids_survive_a_round_trip() -> None:
    for positions in ({0: 0}, {3: 17, 0: 2**62, 11: 5}):
        assert read_positions(positions_text(positions)) == positions
    for text in ("", "0", "0.1-", "a.b", "-1.2", "0.1--1.2", "0.٣"):
        assert read_positions(text) is None
