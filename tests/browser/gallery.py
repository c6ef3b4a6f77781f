"""A server of all pages with sample data, to view them without a broker: python -m tests.browser.gallery"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
from aiohttp import web

from larder.pages import HEADERS, STATIC, render
from tests.larder.pages.samples import PAGES, context

CHANGES: list[tuple[str, dict[str, object] | None]] = [
    ("c2041", {"customer_id": "c2041", "name": "Bo, who moved", "email": None, "country": "SE", "revision": 9}),
    ("<b>c9999</b>", {"customer_id": "<b>c9999</b>", "name": "<img src=x onerror=alert(1)>", "revision": 1}),
    ("c2043", None),
]


_ENDED = web.AppKey("ended", asyncio.Event)


async def _begin(app: web.Application) -> None:
    app[_ENDED] = asyncio.Event()


async def _end(app: web.Application) -> None:
    app[_ENDED].set()


def make_gallery() -> web.Application:
    """Serve each sample page under its name, and the complete site under its addresses."""
    app = web.Application()
    app.on_startup.append(_begin)
    app.on_shutdown.append(_end)

    def add(path: str, name: str) -> None:
        asked, template, data = PAGES[name]

        async def show(_: web.Request) -> web.Response:
            return web.Response(text=render(template, data, context(asked)), content_type="text/html", headers=HEADERS)

        app.router.add_get(path, show)

    for name, (asked, _, _) in PAGES.items():
        add(f"/sample/{name}", name)
        add(asked.partition("?")[0], name)
    app.router.add_get("/tables/shop.customers/changes", _changes)
    app.router.add_static("/static/", STATIC)
    return app


async def _changes(request: web.Request) -> web.StreamResponse:
    """Send a change of a shown row, one of another row, and a deletion, then nothing more."""
    answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await answer.prepare(request)
    for key, row in CHANGES:
        await answer.write(b"event: row\ndata: " + msgspec.json.encode({"key": key, "row": row}) + b"\n\n")
    await request.app[_ENDED].wait()
    return answer


@contextmanager
def serving(app: web.Application) -> Iterator[str]:
    """Serve in another thread during the block, and yield the address."""
    loop, runner = asyncio.new_event_loop(), web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def begin() -> int:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return int(runner.addresses[0][1])

    try:
        port = asyncio.run_coroutine_threadsafe(begin(), loop).result(10)
        yield f"http://127.0.0.1:{port}"
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


if __name__ == "__main__":
    web.run_app(make_gallery(), host="127.0.0.1", port=8765)
