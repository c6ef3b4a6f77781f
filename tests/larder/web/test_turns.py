"""The largest answers do not block others while they are built and sent. Real HTTP, client in its own process."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

import pytest
from aiohttp import ClientSession

from larder.local_tables.table import LocalTable
from tests.larder.store.samples import Sent, customers
from tests.support.serving import Served, fleet, serving

TABLE = customers.name
KEYS = [f"k{number:04}" for number in range(1_000)]
LISTED = f"/tables/{TABLE}/rows?limit=1000"
ASKED_FOR = f"/tables/{TABLE}/rows?" + "&".join(f"key={key}" for key in KEYS)
SHOWN = f"/tables/{TABLE}/rows?" + "&".join(f"key={key}" for key in KEYS[:100])
JSON, HTML = "application/json", "text/html"

LONGEST_MS = 30
"""CPU time: 6 to 15 ms were measured for answers built in slices, 60 to 200 ms for answers built in one go."""

CLIENT = """
import sys, urllib.request
input()
request = urllib.request.Request(sys.argv[1], headers={"Accept": sys.argv[2]})
with urllib.request.urlopen(request, timeout=30) as answer:
    print(len(answer.read()))
"""


def value(key: str) -> bytes:
    """Return a row of such a size that a thousand of them just fit into one answer by keys."""
    return json.dumps({"customer_id": key, "name": "<x> " * 4_000, "revision": 1}).encode()


async def longest(served: Served, path: str, accepts: str) -> tuple[int, float]:
    """Return the bytes of an answer, and the longest CPU time in ms between two turns of the event loop.

    It is the least of three measurements: garbage collection and background work of stores disturb at most one of them.
    """
    return min([await _look(served, path, accepts) for _ in range(3)], key=lambda look: look[1])


async def _look(served: Served, path: str, accepts: str) -> tuple[int, float]:
    most, over = 0.0, asyncio.Event()

    async def tick() -> None:
        nonlocal most
        last = time.process_time()
        while not over.is_set():
            await asyncio.sleep(0)
            now = time.process_time()
            most, last = max(most, now - last), now

    pipe = asyncio.subprocess.PIPE
    arguments = (sys.executable, "-c", CLIENT, str(served.address(path)), accepts)
    client = await asyncio.create_subprocess_exec(*arguments, stdin=pipe, stdout=pipe)
    ticking = asyncio.create_task(tick())
    said, _ = await client.communicate(b"now\n")
    over.set()
    await ticking
    return int(said), most * 1_000


@pytest.fixture
def filled(held: LocalTable) -> LocalTable:
    """Return a table with all rows."""
    for offset, key in enumerate(KEYS):
        held.stored.apply(0, [Sent(offset, key.encode(), value(key))])
    return held


@pytest.mark.parametrize(
    ("path", "accepts", "size"),
    [(LISTED, JSON, 4e6), (ASKED_FOR, JSON, 15e6), (LISTED, HTML, 3e6), (SHOWN, HTML, 3e6)],
)
async def test_the_largest_answers_do_not_block_the_event_loop(
    filled: LocalTable, path: str, accepts: str, size: float
) -> None:
    async with serving(filled) as served:
        served.catch_up(0, 1)
        got, most = await longest(served, path, accepts)
        assert got > size
        assert most < LONGEST_MS


@pytest.mark.parametrize(("path", "accepts"), [(LISTED, JSON), (ASKED_FOR, JSON), (LISTED, HTML), (SHOWN, HTML)])
async def test_the_largest_answers_of_several_workers_do_not_block_the_event_loop(
    tmp_path: Path, path: str, accepts: str
) -> None:
    async with fleet(tmp_path, {"one": [0], "two": [1]}) as workers:
        for offset, key in enumerate(KEYS):
            workers.put(key, offset, value(key))
        workers.catch_up()
        _, most = await longest(workers["one"], path, accepts)
        assert most < LONGEST_MS


async def test_a_page_shows_a_hundred_rows_and_links_to_the_next(filled: LocalTable) -> None:
    async with serving(filled) as served, ClientSession(headers={"Accept": HTML}) as session:
        served.catch_up(0, 1)
        async with session.get(served.address(LISTED)) as answer:
            page = await answer.text()
        assert (page.count("<tr data-key="), "Next rows" in page) == (100, True)
        async with session.get(served.address(ASKED_FOR)) as answer:
            assert (answer.status, "at most 100 keys" in await answer.text()) == (400, True)
