"""What the decides of the service refused, as its command has it: the newest ones, and how many there are by reason."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from app.dead_letters.refusals import REFUSALS, chosen, described_refusals
from app.web.answering import respond
from app.web.asking import Asked
from app.web.dead_letters import LIMIT, USUAL_LIMIT, read_page
from app.web.openapi import Operation, parameter

if TYPE_CHECKING:
    from aiohttp import web


async def refusals(request: web.Request) -> web.Response:
    """GET /refusals."""
    asked = Asked(request, ("limit", "cursor", "key", "state", "reason"))
    limit, cursor = asked.whole("limit", USUAL_LIMIT, 1, LIMIT), asked.text("cursor")
    key = asked.text("key")
    wanted = partial(chosen, key, asked.text("state"), asked.text("reason"))
    found = described_refusals(*await read_page(request, limit, cursor, wanted, REFUSALS))
    return await respond(request, {**found, "key": key}, "refusals", long="refusals")


ADDRESSES = [("/refusals", refusals)]

OPERATIONS = {
    "/refusals": Operation(
        "The newest events that decides refused, and how many of the newest 100,000 there are by reason",
        (
            parameter("limit", f"how many at most, up to {LIMIT}; {USUAL_LIMIT} if not given", "integer"),
            parameter("cursor", "`next` of the answer before"),
            parameter("key", "for rows with this key alone"),
            parameter("state", "for rows of this table alone"),
            parameter("reason", "those with this text in their reason, in any case"),
        ),
        "Refusals",
    ),
}
