"""A page of another site whose name resolves to this machine cannot read a worker. Real HTTP."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from larder.local_tables.table import LocalTable
from larder.web.fast_path import read
from tests.larder.store.samples import customers, row
from tests.larder.web.test_fast_path import exchange
from tests.support.serving import fleet, serving

TABLE = customers.name
ASKED = "GET {0} HTTP/1.1\r\nHost: {1}\r\n{2}\r\n"
BROWSER = "Accept: text/html\r\n"
OTHERS = ["evil.example", "evil.example:{port}", "127.0.0.1.evil.example", "10.0.0.5:{port}"]
OWN = ["127.0.0.1:{port}", "127.0.0.1", "localhost:1", "[::1]:{port}"]
ROW = f"/tables/{TABLE}/rows/ada"


@pytest.fixture
def filled(held: LocalTable) -> LocalTable:
    """Return a table with a row."""
    held.stored.apply(0, [row(0, "ada", 1)])
    return held


@pytest.mark.parametrize(
    "path", [ROW, f"{ROW}?local=1", f"/tables/{TABLE}/changes", "/tables", "/", "/static/x", "/no"]
)
@pytest.mark.parametrize("host", OTHERS)
@pytest.mark.parametrize("accepts", ["", BROWSER])
async def test_a_request_with_a_foreign_host_name_learns_nothing(
    filled: LocalTable, path: str, host: str, accepts: str
) -> None:
    async with serving(filled, bound="127.0.0.1") as served:
        served.catch_up(0, 1)
        name = host.format(port=served.port)
        ((status, headers, body),) = await exchange(served, ASKED.format(path, name, accepts))
        found = json.loads(body)
        assert (status, found["type"], found["found"]) == (
            "HTTP/1.1 421 Misdirected Request", "urn:larder:misdirected", repr(name),
        )  # fmt: skip
        assert headers["Content-Type"] == "application/problem+json"
        assert all(found[part] for part in ("declared", "requires", "do"))
        assert TABLE.encode() not in body
        ((status, _, body),) = await exchange(served, f"POST {path} HTTP/1.1\r\nHost: {name}\r\n\r\n")
        assert " 421 " in status
        ((status, _, body),) = await exchange(served, f"GET {path} HTTP/1.0\r\n\r\n")
        assert " 421 " in status


@pytest.mark.parametrize("host", OWN)
async def test_a_request_with_an_own_host_name_is_served_on_both_paths(filled: LocalTable, host: str) -> None:
    async with serving(filled, bound="127.0.0.1") as served:
        served.catch_up(0, 1)
        name = host.format(port=served.port)
        for headers in ("", "X-Whole-Way: 1\r\n"):
            asked = ASKED.format(ROW, name, headers)
            assert (read(asked.encode()) is None) == bool(headers)
            ((status, _, body),) = await exchange(served, asked)
            assert (status, json.loads(body)["key"]) == ("HTTP/1.1 200 OK", "ada")


async def test_the_host_name_is_checked_for_each_request_on_a_connection(filled: LocalTable) -> None:
    async with serving(filled, bound="127.0.0.1") as served:
        served.catch_up(0, 1)
        own, other = (ASKED.format(ROW, name, "") for name in ("127.0.0.1", "evil.example"))
        answers = await exchange(served, own, other, answers=2)
        assert [status.split(" ")[1] for status, _, _ in answers] == ["200", "421"]


async def test_a_worker_with_a_configured_address_accepts_any_host_name(filled: LocalTable) -> None:
    async with serving(filled) as served:
        served.catch_up(0, 1)
        for host in OTHERS + OWN:
            ((status, _, _),) = await exchange(served, ASKED.format(ROW, host.format(port=served.port), ""))
            assert status == "HTTP/1.1 200 OK"


async def test_workers_reach_each_other_at_their_own_addresses(tmp_path: Path) -> None:
    async with fleet(tmp_path, {"one": [0], "two": [1]}, bound="127.0.0.1") as workers:
        key = workers.key_in(1)
        workers.put(key, 0, b'{"customer_id":"%s","name":"Ada","revision":1}' % key.encode())
        workers.catch_up()
        status, found = await workers["one"].row(key)
        assert (status, found["worker"]) == (200, "two")
