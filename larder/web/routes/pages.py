"""What pages need beside their data: the address where people begin, and files of style and of live parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from larder.pages import HEADERS, STATIC
from larder.web.routes.services import services

if TYPE_CHECKING:
    from aiohttp import web


def set_up(app: web.Application) -> None:
    """Serve the files."""
    app.router.add_static("/static/", STATIC)
    app.on_response_prepare.append(_guarded)


async def _guarded(request: web.Request, response: web.StreamResponse) -> None:
    if request.path.startswith("/static/"):
        response.headers.update(HEADERS)


ADDRESSES = [("/", services), ("/recovery", services)]
"""The second one is a page of its own; programs find the same in /services."""
