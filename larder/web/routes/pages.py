"""What pages need in addition to their data: the start page, style sheets and scripts."""

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
"""The start page. Programs find the same in /services."""
