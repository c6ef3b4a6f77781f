"""The description of the addresses is true: real answers are compared with it. Real HTTP."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import ClientSession
from jsonschema import Draft202012Validator

from larder.config.connection import Connection
from larder.local_tables.table import LocalTable
from larder.queries.directory import Directory
from larder.web import limits
from larder.web.application import make_app
from larder.web.routes import calls, dead_letters, observability, refusals
from larder.web.routes.openapi import whole
from tests.larder.store.samples import customers, row
from tests.support.described import require_described, require_refusals
from tests.support.serving import Served, fleet, serving, serving_from, sources

TABLE = customers.name

ASKED = [
    ("/tables", 200),
    (f"/tables/{TABLE}", 200),
    (f"/tables/{TABLE}?local=1", 200),
    ("/tables/none", 404),
    (f"/tables/{TABLE}/rows", 200),
    (f"/tables/{TABLE}/rows?limit=1", 200),
    (f"/tables/{TABLE}/rows?key=ada&key=nobody", 200),
    (f"/tables/{TABLE}/rows?index=country&value=AT", 200),
    (f"/tables/{TABLE}/rows?limit=x", 400),
    (f"/tables/{TABLE}/rows/ada", 200),
    (f"/tables/{TABLE}/rows/nobody", 404),
    (f"/tables/{TABLE}/rows/%ff", 400),
    ("/services", 200),
    ("/services?x=1", 400),
    ("/openapi.json", 200),
    ("/trace", 200),
    ("/trace?since=yesterday", 400),
    ("/trace?key=k&since=1m&until=1h", 400),
]


async def _check(served: Served, path: str, status: int) -> str:
    async with ClientSession() as session, session.get(served.address(path)) as answer:
        body = await answer.json()
        assert (answer.status, path) == (status, path), body
        return require_described(path, status, answer.content_type, body, answer.headers)


async def test_answers_match_the_description(held: LocalTable, tmp_path: Path) -> None:
    checked = set()
    async with serving(held) as served:
        served.table.apply(0, [row(0, "ada", 1, country="AT"), row(1, "bob", 1)])
        served.catch_up(0, 1)
        for path, status in ASKED:
            checked.add(await _check(served, path, status))
        served.table.state(0).remeasure()
        await _check(served, f"/tables/{TABLE}/rows/nobody", 503)
    async with fleet(tmp_path / "fleet", {"one": [0], "two": [1]}) as workers:
        workers.catch_up()
        for path in ("/services", "/services?all=1", f"/tables/{TABLE}", f"/tables/{TABLE}/rows"):
            await _check(workers["one"], path, 200)
        workers.peers[1] = workers.peers[1]._replace(partitions={})
        await _check(workers["two"], f"/tables/{TABLE}/rows/{workers.key_in(0)}", 404)
        workers.peers.clear()
        await asyncio.sleep(1.05)
        await _check(workers["two"], f"/tables/{TABLE}/rows", 503)
    modules = (observability, dead_letters, refusals, calls)
    others = {"/tables/{table}/changes", *(path for module in modules for path in module.OPERATIONS)}
    assert whole()["paths"].keys() - checked == others, "these have their own tests"


PLACEHOLDERS = {"call": "charge", "table": TABLE, "key": "ada", "topic": "orders", "partition": "0", "offset": "0"}


async def test_general_refusals_are_as_described(held: LocalTable) -> None:
    paths = [path.format(**PLACEHOLDERS) for path in whole()["paths"].keys() - observability.OPERATIONS.keys()]
    async with serving(held, bound="127.0.0.1") as served:
        await require_refusals(served.port, paths)


class SlowDirectory(Directory):
    """A directory that never finds the other workers."""

    async def peers(self, *, refresh: bool = False) -> tuple[()]:
        await asyncio.sleep(20)
        return (refresh,)[:0]


async def test_a_timeout_is_reported_as_described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REQUEST_SECONDS", 0.2)
    async with fleet(tmp_path / "fleet", {"one": [0], "two": [1]}) as workers:
        here = replace(sources({TABLE: workers["one"].held}), directory=SlowDirectory(workers.list_peers))
        async with serving_from(here) as served:
            for path in ("/services", f"/tables/{TABLE}", f"/tables/{TABLE}/rows"):
                await _check(served, path, 503)


async def test_a_defect_is_reported_as_described() -> None:
    def broken() -> dict[str, object]:
        raise RuntimeError

    async with serving_from(replace(sources(), status=broken)) as served:
        await _check(served, "/services", 500)


async def test_dead_letters_without_a_broker_are_refused_as_described() -> None:
    async with serving_from(sources(connection=Connection("127.0.0.1:1"))) as served:
        for path in ("/dead-letters", "/dead-letters/orders/0/0", "/refusals"):
            await _check(served, path, 503)


def test_exactly_the_existing_addresses_are_described() -> None:
    routes = {
        re.sub(r":[^}]*", "", route.resource.canonical)
        for route in make_app(sources()).router.routes()
        if route.resource is not None
    }
    assert routes - whole()["paths"].keys() <= {"/", "/recovery", "/static"}, "pages are for people"
    assert whole()["paths"].keys() - routes == observability.OPERATIONS.keys(), (
        "only a worker with observability has these"
    )


def test_schemas_are_valid_and_paths_list_their_parameters() -> None:
    described = whole()
    for schema in described["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    for path, item in described["paths"].items():
        names = {each["name"] for each in item["get"]["parameters"] if each["in"] == "path"}
        assert names == set(re.findall(r"\{(\w+)\}", path))
