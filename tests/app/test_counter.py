"""The counter without the services behind it: whom it serves, and what it says of services that do not answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from app.counter import MOST_ORDERS, SHELF, application

JSON = {"Content-Type": "application/json"}
NOBODY = "http://127.0.0.1:1"
ALL_AWAY = {f"{name}_URL": NOBODY for name in ("ORDERS", "STOCK", "PRICING", "OUTSIDE")}


@asynccontextmanager
async def counter(**addresses: str) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    async with TestClient(TestServer(application(ALL_AWAY | addresses))) as client:
        yield client


async def test_services_that_do_not_answer_are_named() -> None:
    async with counter() as client:
        found = await (await client.get("/shop?order=o1")).json()
        assert found == {"away": ["orders", "outside", "pricing", "stock"], "story": f"{NOBODY}/trace"}
        answer = await client.post("/orders", json={})
        assert (answer.status, await answer.text()) == (502, "orders does not answer")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (JSON | {"Sec-Fetch-Site": "cross-site"}, 403),
        (JSON | {"Sec-Fetch-Site": "same-site"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        (JSON | {"Sec-Fetch-Site": "same-origin"}, 502),
    ],
)
async def test_only_this_page_may_order(headers: dict[str, str], status: int) -> None:
    async with counter() as client:
        assert (await client.post("/orders", data=b"{}", headers=headers)).status == status


async def test_a_look_at_too_many_orders_is_refused() -> None:
    async with counter() as client:
        asked = "&".join(f"order=o{number}" for number in range(MOST_ORDERS + 1))
        assert (await client.get(f"/shop?{asked}")).status == 400


@pytest.mark.parametrize("file", ["", "counter.css", "counter.js", "icon.svg"])
async def test_the_page_and_its_files_are_served_with_a_policy(file: str) -> None:
    async with counter() as client:
        answer = await client.get(f"/{file}")
        assert answer.status == 200
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'self'")


async def test_products_without_stock_are_delivered_once_when_the_shop_opens() -> None:
    delivered: list[tuple[str, str]] = []

    async def levels(request: web.Request) -> web.Response:
        rows: list[Any] = [{"row": None if key == SHELF[0] else {}} for key in request.query.getall("key")]
        return web.json_response({"rows": rows})

    async def deliver(request: web.Request) -> web.Response:
        delivered.append(((await request.json())["product_id"], request.headers["Idempotency-Key"]))
        return web.json_response({})

    stock = web.Application()
    stock.router.add_get("/tables/warehouse.stock/rows", levels)
    stock.router.add_post("/deliveries", deliver)
    async with TestServer(stock) as server, counter(STOCK_URL=str(server.make_url(""))) as client:
        while not delivered:
            await client.get("/shop")
    assert delivered == [(SHELF[0], f"opening-delivery-of-{SHELF[0]}")]
