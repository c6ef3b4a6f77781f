"""The same addresses answer a browser with pages. Real HTTP."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiohttp import ClientSession

from larder.group.peers import Peer
from larder.kafka.partitioner import partition_of
from larder.local_tables.table import LocalTable
from larder.queries.directory import Directory
from larder.store import Table
from tests.larder.pages.samples import WELL
from tests.larder.store.samples import customers, row, small_memory
from tests.support.serving import NOW, Fleet, Served, fleet, local_table, serving

TABLE = customers.name
FILES = {"style.css": "text/css", "live.js": "application/javascript", "icon.svg": "image/svg+xml"}
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.fixture
def held(tmp_path: Path) -> Iterator[LocalTable]:
    table = Table(customers, tmp_path, small_memory(), "global", lambda: NOW)
    table.open((0, 1), "id-1")
    table.apply(0, [row(0, "ada", 1, country="AT"), row(1, "<script>", 1)])
    yield local_table(table, 2)
    table.close()


@pytest.fixture(autouse=True)
def _well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.support.serving.STATUS", WELL)


async def page(served: Served, path: str, status: int = 200) -> str:
    async with ClientSession() as session, session.get(served.address(path), headers=BROWSER) as answer:
        text = await answer.text()
        assert (answer.status, answer.content_type) == (status, "text/html"), text
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Vary"] == "Accept"
        return text


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/", "The other workers of the service are not known"),
        ("/services", "Overview"),
        ("/recovery", "All 8 partitions"),
        ("/tables", "Local copies"),
        (f"/tables/{TABLE}", f"/tables/{TABLE}/rows/ada"),
        (f"/tables/{TABLE}/rows?prefix=a&from=&to=&index=&value=&limit=100", "ada"),
        (f"/tables/{TABLE}/rows?key=ada", "ada"),
        (f"/tables/{TABLE}/rows/ada", "have their declared defaults"),
    ],
)
async def test_a_browser_gets_a_page(held: LocalTable, path: str, says: str) -> None:
    async with serving(held) as served:
        served.catch_up(0, 1)
        text = await page(served, path)
        assert says in text
        assert "<script>" not in text


@pytest.mark.parametrize(
    ("path", "status"),
    [(f"/tables/{TABLE}/rows/nobody", 404), ("/tables/none", 404), (f"/tables/{TABLE}/rows?limit=x", 400), ("/x", 404)],
)
async def test_a_browser_gets_errors_as_pages(held: LocalTable, path: str, status: int) -> None:
    async with serving(held) as served:
        served.catch_up(0, 1)
        assert "What to do" in await page(served, path, status)


async def test_the_page_of_a_row_shows_its_declared_types_on_every_worker(tmp_path: Path) -> None:
    async with fleet(tmp_path, {"one": [0], "two": [1]}) as workers:
        key = workers.key_in(1)
        workers.put(key, 0, json.dumps({"customer_id": key, "revision": 1}).encode())
        workers.catch_up()
        for name in ("one", "two"):
            assert "str | None" in await page(workers[name], f"/tables/{TABLE}/rows/{key}")


async def test_the_page_of_a_table_says_if_its_rows_cannot_be_listed(held: LocalTable) -> None:
    async with serving(held) as served:
        assert "cannot be listed now" in await page(served, f"/tables/{TABLE}")


async def test_only_the_static_files_of_pages_are_served(held: LocalTable) -> None:
    async with serving(held) as served, ClientSession() as session:
        for name, kind in FILES.items():
            async with session.get(served.address(f"/static/{name}")) as answer:
                assert (answer.status, answer.content_type) == (200, kind)
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
        for path in ("/static/../rendering.py", "/static/%2e%2e/rendering.py", "/static/..%2frendering.py", "/static/"):
            async with session.get(served.address(path)) as answer:
                assert answer.status in {403, 404}


def fill(workers: Fleet) -> list[str]:
    keys = sorted(f"c{number}" for number in range(10, 90))
    for offset, key in enumerate(keys):
        workers.put(key, offset, b'{"customer_id":"%s","name":"Ada","revision":1}' % key.encode())
    workers.catch_up()
    return keys


def listed(text: str) -> list[str]:
    return re.findall(r'<tr data-key="([^"]+)"', text)


async def test_the_page_of_a_table_shows_the_rows_of_all_workers_and_links_to_the_next(tmp_path: Path) -> None:
    async with fleet(tmp_path, {"one": [0], "two": [1], "three": []}) as workers:
        keys = fill(workers)
        for name in ("one", "two", "three"):
            text = await page(workers[name], f"/tables/{TABLE}")
            assert listed(text) == keys[:50]
            (more,) = re.findall(r'<a href="([^"]+)" rel="next">More rows', text)
            assert listed(await page(workers[name], html.unescape(more))) == keys[50:]
        assert listed(await page(workers["three"], f"/tables/{TABLE}?local=1")) == []


async def test_a_row_of_another_worker_keeps_the_digits_of_its_numbers(tmp_path: Path) -> None:
    async with fleet(tmp_path, {"one": [0], "two": [1]}) as workers:
        key = workers.key_in(1)
        workers.put(key, 0, b'{"customer_id":"%s","revision":1,"price":1.10}' % key.encode())
        workers.catch_up()
        for name in ("one", "two"):
            assert "&#34;price&#34;: 1.10" in await page(workers[name], f"/tables/{TABLE}/rows/{key}")


async def test_an_error_page_for_another_worker_has_retry_after(tmp_path: Path) -> None:
    async with fleet(tmp_path, {"one": [0], "two": [1]}) as workers, ClientSession(headers=BROWSER) as session:
        fill(workers)
        two = workers["two"]
        two.table.state(1).remeasure()
        two.table.observe(1, 1_000, two.now)
        absent = next(key for key in map(str, range(1_000)) if partition_of(key.encode(), 2) == 1)
        async with session.get(workers["one"].address(f"/tables/{TABLE}/rows/{absent}")) as answer:
            assert (answer.status, answer.content_type) == (503, "text/html")
            assert int(answer.headers["Retry-After"]) >= 1


async def test_the_page_of_a_global_table_shows_its_copies_on_all_workers(tmp_path: Path) -> None:
    peers: list[Peer] = []

    async def list_peers() -> list[Peer]:
        return peers

    async with AsyncExitStack() as stack:
        for name, rows in (("one", 2), ("two", 1)):
            table = Table(customers, tmp_path / name, small_memory(), "global", lambda: NOW)
            stack.callback(table.close)
            table.open((0,), "id-1")
            table.apply(0, [row(0, "ada", 1), row(1, "bob", 1)][:rows])
            served = await stack.enter_async_context(
                serving(local_table(table, 1), worker=name, directory=Directory(list_peers))
            )
            served.catch_up(0)
            peers.append(Peer(name, served.web, {}, {}))
        peers.append(Peer("three", "http://127.0.0.1:1", {}, {}))
        _, answer = await served.get(f"/tables/{TABLE}")
        assert [(each["worker"], each["rows"], each["position"]) for each in answer["partitions"]] == [
            ("one", 2, 2),
            ("two", 1, 1),
        ]
        assert (answer["rows"], answer["silent"]) == (1, ["three"])
        assert "three does not answer" in await page(served, f"/tables/{TABLE}")
