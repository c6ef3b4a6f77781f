"""What the decides of the service refused, as its command has it: the newest ones, and how many there are by reason."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from larder.dead_letters.refusals import REFUSALS, chosen, described_refusals
from larder.web.letter_lists import PARAMETERS, described_parameters, listed
from larder.web.openapi import Operation, parameter
from larder.web.parameters import Query
from larder.web.responses import respond

if TYPE_CHECKING:
    from aiohttp import web


async def refusals(request: web.Request) -> web.Response:
    """GET /refusals."""
    asked = Query(request, (*PARAMETERS, "state", "reason"))
    wanted = partial(chosen, asked.text("state"), asked.text("reason"))
    page, counts, key = await listed(request, asked, wanted, REFUSALS)
    return await respond(request, {**described_refusals(page, counts), "key": key}, "refusals", long="refusals")


ADDRESSES = [("/refusals", refusals)]

OPERATIONS = {
    "/refusals": Operation(
        "The newest events that decides refused, and how many of the newest 100,000 there are by reason",
        (
            *described_parameters("for rows with this key alone"),
            parameter("state", "for rows of this table alone"),
            parameter("reason", "those with this text in their reason, in any case"),
        ),
        "Refusals",
    ),
}
