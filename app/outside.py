"""What is outside, as a server: `python -m app.outside --port 8099`.

`POST /charges`, `/voids`, `/mails` and `/purchases` need a header `Idempotency-Key`. `GET /ledger` says what was done.
`PUT /faults/charges` with `{"down": true}` switches faults on (`app.provider.Faults`), and `{}` off again; `GET` shows
them.
"""

from __future__ import annotations

from argparse import ArgumentParser
from asyncio import sleep
from functools import partial
from http import HTTPStatus

import msgspec
from aiohttp import web

from app.provider import Faults, Outside


def application(outside: Outside) -> web.Application:
    """Return the server of what is outside."""
    app = web.Application()
    app.router.add_get("/ledger", partial(_ledger, outside))
    app.router.add_get("/faults/{kind}", partial(_show_faults, outside))
    app.router.add_put("/faults/{kind}", partial(_set_faults, outside))
    app.router.add_post("/{kind}", partial(_act, outside))
    return app


async def _ledger(outside: Outside, _request: web.Request) -> web.Response:
    return web.json_response(outside.ledger())


async def _show_faults(outside: Outside, request: web.Request) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(outside.faults[_kind(outside, request)]), content_type="application/json"
    )


async def _set_faults(outside: Outside, request: web.Request) -> web.Response:
    try:
        faults = msgspec.json.decode(await request.read(), type=Faults)
    except msgspec.ValidationError as error:
        raise web.HTTPUnprocessableEntity(text=str(error)) from error
    outside.faults[_kind(outside, request)] = faults
    return web.Response(status=HTTPStatus.NO_CONTENT)


async def _act(outside: Outside, request: web.Request) -> web.StreamResponse:
    """Act as asked for, and answer, as far as the faults allow."""
    kind, key = _kind(outside, request), request.headers.get("Idempotency-Key")
    if key is None:
        raise web.HTTPBadRequest(text="the header Idempotency-Key is missing")
    body = msgspec.json.decode(await request.read())
    await sleep(outside.faults[kind].slow)
    faults = outside.faults[kind]
    if faults.down:
        return _hang_up(request)
    status, answer = outside.answer(kind, key, body)
    if faults.lost > 0:
        faults.lost -= 1
        return _hang_up(request)
    return web.json_response(answer, status=status)


def _hang_up(request: web.Request) -> web.StreamResponse:
    """Close the connection without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def _kind(outside: Outside, request: web.Request) -> str:
    kind = request.match_info["kind"]
    if kind not in outside.faults:
        raise web.HTTPNotFound
    return kind


def main() -> None:
    """Serve until interrupted."""
    parser = ArgumentParser(prog="python -m app.outside", description="A provider, a mail server and a supplier.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8099)
    given = parser.parse_args()
    web.run_app(application(Outside()), host=given.host, port=given.port, print=None)


if __name__ == "__main__":
    main()
