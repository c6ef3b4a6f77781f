"""Dead letters of the service: the newest ones, and all details of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from larder.dead_letters.choosing import Chosen
from larder.dead_letters.describing import described, described_whole
from larder.dead_letters.letters import letter_id
from larder.dead_letters.reading import letter
from larder.dead_letters.shelves import DEAD_LETTERS
from larder.declaring.problems import Problem
from larder.queries.lookup_errors import LookupFailedError
from larder.web.letter_lists import PARAMETERS, described_parameters, listed, read
from larder.web.openapi import Operation, parameter
from larder.web.parameters import Query
from larder.web.responses import respond
from larder.web.sources import sources

if TYPE_CHECKING:
    from aiohttp import web


class NoSuchLetterError(LookupFailedError):
    """The letter is not among the newest records of the topic."""

    kind = "no-such-letter"


async def letters(request: web.Request) -> web.Response:
    """GET /dead-letters."""
    asked = Query(request, (*PARAMETERS, "topic", "cause"))
    chosen = Chosen(None, asked.text("topic"), asked.text("cause"))
    page, unsettled, key = await listed(request, asked, chosen.takes, DEAD_LETTERS)
    found = {
        "letters": [described(each) for each in page.letters],
        "next": page.next,
        "beyond": page.beyond,
        "unsettled": None if unsettled is None else unsettled.as_dict(),
    }
    return await respond(request, {**found, "key": key}, "dead-letters", long="letters")


async def one(request: web.Request) -> web.Response:
    """GET /dead-letters/{topic}/{partition}/{offset}."""
    Query(request, ())
    here = sources(request)
    name = "/".join(request.match_info[part] for part in ("topic", "partition", "offset"))
    wanted = letter_id(name)
    found = await read(request, lambda: letter(here.connection, here.service, wanted))
    if found is None:
        requires = f"requires to be among the newest 100,000 records of {here.service}.dead-letters"
        raise NoSuchLetterError(Problem(f"dead letter {name}", requires, "no such letter", "see /dead-letters"))
    return await respond(request, described_whole(*found), "dead-letter")


ADDRESSES = [("/dead-letters", letters), ("/dead-letters/{topic}/{partition}/{offset}", one)]

OPERATIONS = {
    "/dead-letters": Operation(
        "The newest unsettled dead letters",
        (
            *described_parameters("only of records with this key"),
            parameter("topic", "only of records of this topic"),
            parameter("cause", "only those with this text in their cause, ignoring case"),
        ),
        "DeadLetters",
    ),
    "/dead-letters/{topic}/{partition}/{offset}": Operation(
        "A dead letter, by the coordinates of its record",
        (
            parameter("topic", "of the record", where="path"),
            parameter("partition", "of the record", "integer", where="path"),
            parameter("offset", "of the record", "integer", where="path"),
        ),
        "DeadLetter",
        (404,),
    ),
}
