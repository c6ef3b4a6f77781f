"""The counter of the shop, a page for people: `python -m app.counter --port 8080`.

It keeps nothing. What it shows comes from the workers of the services that own it, at ORDERS_URL, STOCK_URL and
PRICING_URL, and from the outside at OUTSIDE_URL. A service that does not answer is named, and the rest is shown. People
reach a worker that tells the story of an order at STORY_URL, by default the one of ORDERS_URL.
"""

from __future__ import annotations

from argparse import ArgumentParser
from asyncio import create_task, gather, sleep
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from os import environ
from pathlib import Path
from typing import Any, Final, NamedTuple

from aiohttp import ClientError, ClientSession, ClientTimeout, web
from yarl import URL

PAGE: Final = Path(__file__).with_name("page")
FILES: Final = ("counter.css", "counter.js", "icon.svg")

SHELF: Final = tuple(f"p{number:03d}" for number in range(1, 7))
"""The products that are sold here, out of the catalogue."""

OPENING: Final = {"pieces": 20, "low": 5}
"""The first delivery of each product."""

MOST_ORDERS: Final = 20
"""How many orders one look may ask for."""

PASSED: Final = ("Idempotency-Key", "traceparent")
"""Headers that go along with a request."""

POLICY: Final = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

JSON: Final = "application/json"


class Service(NamedTuple):
    """A service, and the address of one of its workers: any of them answers for all."""

    name: str
    url: URL


class Shop:
    """The services behind the counter."""

    def __init__(self, session: ClientSession, addresses: Mapping[str, str]) -> None:
        """Take the addresses from the variables ORDERS_URL and so on."""
        self._session = session
        names = ("orders", "stock", "pricing", "outside")
        self.orders, self.stock, self.pricing, self.outside = (
            Service(name, URL(addresses.get(f"{name.upper()}_URL", f"http://{name}"))) for name in names
        )
        self.story = URL(addresses.get("STORY_URL", str(self.orders.url))) / "trace"

    async def look(self, orders: Sequence[str]) -> Mapping[str, Any]:
        """Return these orders, the shelf, and whether the provider is down, as JSON values."""
        found = dict(
            await gather(
                self._found("orders", self.orders, self.rows(self.orders, "sales.orders", orders)),
                self._found("products", self.orders, self.rows(self.orders, "shop.products", SHELF)),
                self._found("levels", self.stock, self.rows(self.stock, "warehouse.stock", SHELF)),
                self._found("prices", self.pricing, self.rows(self.pricing, "sales.prices", SHELF)),
                self._found("faults", self.outside, self._get(self.outside.url / "faults/charges")),
            )
        )
        away = sorted({each for each in found.values() if isinstance(each, str)})
        shown = {name: each for name, each in found.items() if not isinstance(each, str)}
        return shown | {"away": away, "story": str(self.story)}

    async def open(self) -> None:
        """Have each product delivered that has no stock yet, once stock answers."""
        while True:
            with suppress(ClientError, TimeoutError):
                levels = await self.rows(self.stock, "warehouse.stock", SHELF)
                for product in (each for each, level in zip(SHELF, levels, strict=True) if level is None):
                    await self._deliver(product)
                return
            await sleep(1)

    async def rows(self, service: Service, table: str, keys: Sequence[str]) -> list[Any]:
        """Return the rows of keys, None for those without one. Raise ClientError or TimeoutError."""
        if not keys:
            return []
        body = await self._get((service.url / f"tables/{table}/rows").with_query([("key", key) for key in keys]))
        return [each["row"] for each in body["rows"]]

    async def pass_on(self, request: web.Request, service: Service, path: str) -> web.Response:
        """Let a service answer a request; 502 if it does not."""
        passed = {name: request.headers[name] for name in PASSED if name in request.headers}
        url = (service.url / path).with_query(request.query)
        asked = self._session.request(
            request.method, url, data=await request.read(), headers={"Content-Type": JSON, **passed}
        )
        try:
            async with asked as answer:
                body, kind = await answer.read(), answer.content_type
        except (ClientError, TimeoutError) as error:
            raise web.HTTPBadGateway(text=f"{service.name} does not answer") from error
        return web.Response(body=body, status=answer.status, content_type=kind)

    async def _found(self, name: str, service: Service, work: Awaitable[Any]) -> tuple[str, Any]:
        """Return what a service says of `name`; the name of the service if it does not answer."""
        try:
            return name, await work
        except (ClientError, TimeoutError):
            return name, service.name

    async def _get(self, url: URL) -> Any:
        async with self._session.get(url, raise_for_status=True) as answer:
            return await answer.json()

    async def _deliver(self, product: str) -> None:
        delivery = {"product_id": product, **OPENING}
        key = {"Idempotency-Key": f"opening-delivery-of-{product}"}
        async with self._session.post(self.stock.url / "deliveries", json=delivery, headers=key, raise_for_status=True):
            pass


def application(addresses: Mapping[str, str]) -> web.Application:
    """Return the server of the page. Addresses are those of the variables in this module's docstring."""
    app = web.Application(middlewares=[_guarded])
    app.cleanup_ctx.append(partial(_opened, addresses))
    app.router.add_get("/", partial(_file, "counter.html"))
    for name in FILES:
        app.router.add_get(f"/{name}", partial(_file, name))
    app.router.add_get("/shop", _look)
    app.router.add_post("/orders", _pass_on("orders", "orders"))
    app.router.add_post("/orders/{id}/cancel", _pass_on("orders", "orders/{id}/cancel"))
    app.router.add_post("/deliveries", _pass_on("stock", "deliveries"))
    app.router.add_put("/faults", _pass_on("outside", "faults/charges"))
    return app


SHOP: Final = web.AppKey("shop", Shop)


async def _opened(addresses: Mapping[str, str], app: web.Application) -> AsyncIterator[None]:
    async with ClientSession(timeout=ClientTimeout(total=12)) as session:
        app[SHOP] = Shop(session, addresses)
        opening = create_task(app[SHOP].open())
        yield
        opening.cancel()


@web.middleware
async def _guarded(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Take orders from this page only, not from one of another site."""
    if request.method not in {"GET", "HEAD"}:
        if request.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}:
            raise web.HTTPForbidden(text="a page of another site must not order here")
        if request.content_type != JSON:
            raise web.HTTPUnsupportedMediaType(text=f"the body must be {JSON}")
    answer = await handler(request)
    answer.headers.update({"Content-Security-Policy": POLICY, "Cache-Control": "no-store"})
    return answer


async def _file(name: str, _request: web.Request) -> web.StreamResponse:
    return web.FileResponse(PAGE / name)


async def _look(request: web.Request) -> web.Response:
    orders = request.query.getall("order", [])
    if len(orders) > MOST_ORDERS:
        raise web.HTTPBadRequest(text=f"at most {MOST_ORDERS} orders at once; found {len(orders)}")
    return web.json_response(await request.app[SHOP].look(orders))


def _pass_on(service: str, path: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        shop = request.app[SHOP]
        return await shop.pass_on(request, getattr(shop, service), path.format(**request.match_info))

    return answer


def main() -> None:
    """Serve until interrupted."""
    parser = ArgumentParser(prog="python -m app.counter", description="The page of the shop.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    given = parser.parse_args()
    web.run_app(application(environ), host=given.host, port=given.port, print=None)


if __name__ == "__main__":
    main()
