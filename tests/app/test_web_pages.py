"""The same addresses as pages, for those who prefer them: what a browser is answered. Real HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import ClientSession

from tables.engine import Table
from tests.app.pages.samples import WELL
from tests.support.serving import NOW, Held, Served, fleet, serving
from tests.tables.engine.samples import customers, row, small_memory

TABLE = customers.name
FILES = {"style.css": "text/css", "live.js": "application/javascript", "icon.svg": "image/svg+xml"}
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Held]:
    table = Table(customers, tmp_path, small_memory(), "global", lambda: NOW)
    table.open((0, 1), "id-1")
    table.apply(0, [row(0, "ada", 1, country="AT"), row(1, "<script>", 1)])
    yield Held(table, 2)
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
        ("/", "All is well"),
        ("/services", "Overview"),
        ("/recovery", "All 8 partitions"),
        ("/tables", "Local copies"),
        (f"/tables/{TABLE}", f"/tables/{TABLE}/rows/ada"),
        (f"/tables/{TABLE}/rows?prefix=a&from=&to=&index=&value=&limit=100", "ada"),
        (f"/tables/{TABLE}/rows?key=ada", "ada"),
        (f"/tables/{TABLE}/rows/ada", "Raw record"),
    ],
)
async def test_a_browser_is_answered_with_a_page(held: Held, path: str, says: str) -> None:
    async with serving(held) as served:
        served.catch_up(0, 1)
        text = await page(served, path)
        assert says in text
        assert "<script>" not in text


@pytest.mark.parametrize(
    ("path", "status"),
    [(f"/tables/{TABLE}/rows/nobody", 404), ("/tables/none", 404), (f"/tables/{TABLE}/rows?limit=x", 400), ("/x", 404)],
)
async def test_a_browser_is_told_of_failures_on_a_page(held: Held, path: str, status: int) -> None:
    async with serving(held) as served:
        served.catch_up(0, 1)
        assert "What to do" in await page(served, path, status)


async def test_the_page_of_a_row_has_its_declared_types_whichever_worker_has_the_row(tmp_path: Path) -> None:
    async with fleet(tmp_path, {"one": [0], "two": [1]}) as workers:
        key = workers.key_in(1)
        workers.put(key, 0, json.dumps({"customer_id": key, "revision": 1}).encode())
        workers.catch_up()
        for name in ("one", "two"):
            assert "str | None" in await page(workers[name], f"/tables/{TABLE}/rows/{key}")


async def test_while_rows_cannot_be_listed_the_page_of_their_table_says_so(held: Held) -> None:
    async with serving(held) as served:
        assert "cannot be listed now" in await page(served, f"/tables/{TABLE}")


async def test_files_of_pages_are_served_and_nothing_beside_them(held: Held) -> None:
    async with serving(held) as served, ClientSession() as session:
        for name, kind in FILES.items():
            async with session.get(served.address(f"/static/{name}")) as answer:
                assert (answer.status, answer.content_type) == (200, kind)
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
        for path in ("/static/../rendering.py", "/static/%2e%2e/rendering.py", "/static/..%2frendering.py", "/static/"):
            async with session.get(served.address(path)) as answer:
                assert answer.status in {403, 404}
