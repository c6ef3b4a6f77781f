"""Calls that are not done: a list of those of one declaration, over all workers, and all details of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from larder.dead_letters.describing import described_value
from larder.dead_letters.letters import text_of
from larder.declaring.problems import Problem
from larder.declaring.stored_calls import calls_name, outcomes_name
from larder.queries.certainty import unplaced
from larder.queries.cursors import cursor_text, read_cursor
from larder.queries.lists import LIMIT, USUAL_LIMIT, selection
from larder.queries.lookup_errors import NoSuchCallError, NotSureError
from larder.queries.stored_calls import CallState, described_call, read_call, taken
from larder.web.openapi import Operation, parameter
from larder.web.parameters import Query, mistake
from larder.web.peers.lists import gathered
from larder.web.read_options import USUAL_WAIT, wanted_of
from larder.web.responses import prefers_html, respond
from larder.web.sources import sources

if TYPE_CHECKING:
    from aiohttp import web

    from larder.declaring.calls import Call
    from larder.declaring.stored_calls import StoredCall
    from larder.local_tables.table import LocalTable
    from larder.web.read_options import ReadOptions

_WRITTEN = ("after", "within")

LOOKED_AT = 10_000
"""How many calls are looked at for one answer: those of a state may be few among many."""


async def calls(request: web.Request) -> web.Response:
    """GET /calls/{call}."""
    here, asked = sources(request), Query(request, ("limit", "cursor", "state", *_WRITTEN))
    call, held = _held(request)
    most = USUAL_LIMIT if prefers_html(request) else LIMIT
    limit = min(asked.whole("limit", USUAL_LIMIT, 1, LIMIT), most)
    found, following = await _page(request, held, limit, asked.text("cursor"), _state(asked), wanted_of(asked))
    told = {
        "call": call.name,
        "service": here.service,
        "table": held.topic.name,
        "outcomes": outcomes_name(here.service, call.name, call.generation),
        "calls": [described_call(call.source, each) for each in found],
        "next": following,
    }
    return await respond(request, told, "calls", long="calls")


async def _page(  # noqa: PLR0913, PLR0917 - the parameters of a request
    request: web.Request,
    held: LocalTable,
    limit: int,
    cursor: str | None,
    state: CallState | None,
    wanted: ReadOptions,
) -> tuple[list[StoredCall], str | None]:
    """Return up to `limit` calls in a state, and the cursor behind them; it may have looked at its most before."""
    selected = selection(held, prefix=None, from_=None, to=None, index=None, value=None)
    mark = selected.mark(held.topic.name)
    after = None if cursor is None else read_cursor(cursor, mark)
    found: list[StoredCall] = []
    looked, size = 0, limit if state is None else LIMIT
    with sources(request).slots.one():
        while True:
            page = await gathered(
                request, held, selected, range(held.partition_count), size, after, wanted, local=False
            )
            more, last = taken(page.rows, limit - len(found), state)
            found += more
            looked += len(page.rows)
            if last is None or (not page.more and last == page.rows[-1].key):
                return found, None
            if len(found) == limit or looked >= LOOKED_AT:
                return found, cursor_text(mark, last)
            after = last


async def one(request: web.Request) -> web.Response:
    """GET /calls/{call}/{topic}/{partition}/{offset}."""
    wanted = wanted_of(Query(request, _WRITTEN))
    call, held = _held(request)
    name = "/".join(request.match_info[part] for part in ("topic", "partition", "offset"))
    # A call has the partition of its event, so its own key does not say which.
    selected, partitions = (
        selection(held, prefix=name, from_=None, to=None, index=None, value=None),
        held.partition_count,
    )
    with sources(request).slots.one():
        page = await gathered(request, held, selected, range(partitions), 1, None, wanted, local=False)
    rows = [each.fields["row"] for each in page.rows if each.key == name.encode()]
    if not rows:
        requires, do = "requires a call that is not done", "see its results, or larder dead-letters list"
        raise NoSuchCallError(Problem(f"call {name} of {call.name}", requires, "none: it is done, or given up", do))
    return await respond(request, _whole(sources(request).service, call, read_call(rows[0])), "call")


def _whole(service: str, call: Call, stored: StoredCall) -> dict[str, Any]:
    """Describe all of a call: also the value of its event, as JSON if it is JSON, and its headers."""
    return {
        **described_call(call.source, stored),
        "call": call.name,
        "service": service,
        **described_value(stored.value),
        "headers": [{"name": name, "value": text_of(value)} for name, value in stored.headers],
    }


def _held(request: web.Request) -> tuple[Call, LocalTable]:
    """Return the call of the path, and its table."""
    here, name = sources(request), request.match_info["call"]
    declared = {each.name: each for each in here.calls()}
    if name not in declared:
        there = ", ".join(declared) or "none"
        raise NoSuchCallError(
            Problem(f"call {name}", f"requires a call that {here.service} declares", there, "ask for one of those")
        )
    call = declared[name]
    held = here.tables.get(calls_name(here.service, name, call.generation))
    if held is None:
        problem = Problem(f"call {name}", "requires a worker that reads its topics", "starting", "ask again")
        raise NotSureError(problem, state="starting")
    if not held.partition_count:
        raise unplaced(held, "a list of calls")
    return call, held


def _state(asked: Query) -> CallState | None:
    text = asked.text("state")
    if text is None or text in set(CallState):
        return None if text is None else CallState(text)
    name, requires = "state", f"requires one of {', '.join(CallState)}"
    raise mistake(name, requires, repr(text), "give one, or leave it out")


ADDRESSES = [("/calls/{call}", calls), ("/calls/{call}/{topic}/{partition}/{offset}", one)]

_AFTER = (
    parameter("after", "the token of a write to the table: the answer contains that write"),
    parameter("within", f"seconds to wait for that write, {USUAL_WAIT:g} by default", "number"),
)
_CALL = parameter("call", "name of the call: that of its function", where="path")

OPERATIONS = {
    "/calls/{call}": Operation(
        "The calls of one declaration that are not done, over all workers",
        (
            _CALL,
            parameter("limit", f"how many at most, up to {LIMIT}; {USUAL_LIMIT} if not given", "integer"),
            parameter("cursor", "`next` of the answer before"),
            parameter("state", f"only those that are {', '.join(CallState)}"),
            *_AFTER,
        ),
        "Calls",
        (404,),
    ),
    "/calls/{call}/{topic}/{partition}/{offset}": Operation(
        "A call that is not done, with its event",
        (
            _CALL,
            parameter("topic", "the id of the topic of its event", where="path"),
            parameter("partition", "of its event", "integer", where="path"),
            parameter("offset", "of its event", "integer", where="path"),
            *_AFTER,
        ),
        "Call",
        (404,),
    ),
}
