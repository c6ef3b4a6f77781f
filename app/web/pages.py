"""What pages need beside their data: the address where people begin, and files of style and of live parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from app.web.answering import pages
from app.web.services import services

if TYPE_CHECKING:
    from collections.abc import Mapping


def set_up(app: web.Application) -> None:
    """Serve the files, if this larder has pages."""
    if (made := pages()) is None:
        return
    app.router.add_static("/static/", made.STATIC)
    headers: Mapping[str, str] = made.HEADERS

    async def guarded(request: web.Request, response: web.StreamResponse) -> None:
        if request.path.startswith("/static/"):
            response.headers.update(headers)

    app.on_response_prepare.append(guarded)


ADDRESSES = [("/", services), ("/recovery", services)]
"""The second one is a page of its own; programs find the same in /services."""
