"""Refusals of the service's decides: the newest ones, and their number by reason."""

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
        "The newest refused events, and the number of the newest 100,000 by reason",
        (
            *described_parameters("only for rows with this key"),
            parameter("state", "only for rows of this table"),
            parameter("reason", "only those with this text in their reason, ignoring case"),
        ),
        "Refusals",
    ),
}
