"""A program with a bare aiohttp handler for the route of a row, which always answers with the same bytes.

`python -m tests.bench.bare_http BYTES` prints its port, and runs until it is stopped. Like a worker, it uses uvloop, no
access log, and little garbage collection.
"""

from __future__ import annotations

import asyncio
import gc
import sys

import uvloop
from aiohttp import web

GARBAGE = (50_000, 20, 20)  # as in a worker


async def main(size: int) -> None:
    """Answer with JSON of `size` bytes."""
    body = b'{"row":"' + b"x" * (size - 10) + b'"}'

    async def row(_: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    app = web.Application()
    app.router.add_get("/tables/{table}/rows/{key}", row)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    gc.freeze()
    gc.set_threshold(*GARBAGE)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
