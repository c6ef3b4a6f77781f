"""Rows: one by key, many by keys, and lists by range or index.

Any worker answers for any key: it gets rows of other partitions from their workers, in one hop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import msgspec
from aiohttp import web

from larder.config.errors import MistakeError
from larder.declaring.problems import Problem
from larder.kafka.partitioner import partition_of
from larder.queries.certainty import unplaced
from larder.queries.cursors import cursor_text, invalid_cursor, read_cursor
from larder.queries.key_texts import encoded_key
from larder.queries.lists import LIMIT, USUAL_LIMIT, selection
from larder.queries.lookup import held_table, look_up, look_up_after
from larder.queries.lookup_errors import NotHereError, NotSureError
from larder.queries.paths import row_path
from larder.store import NotHeldError, StoreError
from larder.web.described_fields import described_fields
from larder.web.openapi import Operation, parameter
from larder.web.parameters import Query, is_hop, key_of, table_of
from larder.web.peers.client import hopping
from larder.web.peers.lists import gathered, many
from larder.web.peers.row_waits import RowWait, is_gone, row_waits
from larder.web.peers.rows import is_known_as_mine, route, unserved
from larder.web.read_options import NOTHING, PARAMETERS, USUAL_WAIT, wanted_of
from larder.web.responses import passed_on, prefers_html, respond
from larder.web.sources import sources
from larder.web.until import PARAMETERS as UNTIL
from larder.web.until import until_of

if TYPE_CHECKING:
    from larder.local_tables.table import LocalTable
    from larder.web.peers.client import Hopped
    from larder.web.read_options import ReadOptions
    from larder.web.sources import Sources


async def row(request: web.Request) -> web.Response:
    """GET /tables/{table}/rows/{key}."""
    here, name, text = sources(request), table_of(request), key_of(request)
    held = held_table(here.tables, name)
    if not request.query_string:
        return await _row(request, held, text, NOTHING)
    asked = Query(request, (*PARAMETERS, *UNTIL))
    wanted, until = wanted_of(asked), until_of(asked, here, held.topic.name)
    if until is None:
        return await _row(request, held, text, wanted)
    wait = RowWait(held, encoded_key(held.topic, text), text, until.predicate, wanted.after)
    satisfied = await row_waits(request).wait(wait, until.seconds, lambda: is_gone(request))
    if wait.held is not held:
        # The service was scaled meanwhile: its new topic has every row that the token is about.
        wanted = wanted._replace(after=None)
    answer = await _row(request, wait.held, text, wanted)
    if satisfied is None and answer.status == web.HTTPOk.status_code:
        answer.set_status(web.HTTPAccepted.status_code)
    return answer


async def _row(request: web.Request, held: LocalTable, text: str, wanted: ReadOptions) -> web.Response:
    here, name = sources(request), held.topic.name
    if held.held == "global" or wanted.local or is_hop(request):
        return await _told(request, held, await _found(here, name, text, wanted))
    key = encoded_key(held.topic, text)
    if not held.partition_count:
        raise unplaced(held, f"key {text}")
    partition = partition_of(key, held.partition_count)
    if is_known_as_mine(here, held, partition):
        return await _told(request, held, await _found(here, name, text, wanted))
    return await _from_elsewhere(request, held, partition, text, wanted)


async def _found(here: Sources, name: str, text: str, wanted: ReadOptions) -> dict[str, Any]:
    if wanted.after is None:
        found = look_up(
            here.tables, name, text, now=here.clock(), max_age=here.max_age, max_staleness=wanted.max_staleness
        )
    else:
        found = await look_up_after(
            here.tables,
            name,
            text,
            after=wanted.after,
            within=wanted.within,
            clock=here.clock,
            max_age=here.max_age,
            max_staleness=wanted.max_staleness,
        )
    found["worker"] = here.worker
    return found


async def _told(request: web.Request, held: LocalTable, found: dict[str, Any]) -> web.Response:
    if prefers_html(request):
        found["fields"] = described_fields(held.topic)
    return await respond(request, found, "row")


async def _from_elsewhere(
    request: web.Request, held: LocalTable, partition: int, text: str, wanted: ReadOptions
) -> web.Response:
    here, name = sources(request), held.topic.name
    query = urlencode(wanted.query())
    path = row_path(name, text) + (f"?{query}" if query else "")
    answer, refusal = await route(here, hopping(request), held, partition, path, wanted.wait)
    if answer is not None:
        return await _passed_on(request, held, answer)
    try:
        # The wait for the write is over: ask a copy for what it has now.
        return await _told(request, held, await _found(here, name, text, wanted._replace(within=0.0)))
    except (NotSureError, StoreError) as error:
        if refusal is not None:
            return await _passed_on(request, held, refusal)
        if isinstance(error, NotHereError | NotHeldError) and here.directory.known:
            raise unserved(held, f"key {text}", [partition]) from error
        raise


async def _passed_on(request: web.Request, held: LocalTable, answer: Hopped) -> web.Response:
    if not answer.kind and prefers_html(request):
        # Not decoded further: numbers keep the digits that their owner wrote.
        return await _told(request, held, msgspec.json.decode(answer.body, type=dict[str, msgspec.Raw]))
    return passed_on(request, answer.body, answer.status, answer.headers)


_LIST_PARAMETERS = (
    "prefix", "from", "to", "index", "value", "key", "limit", "cursor", "partition", *PARAMETERS,
)  # fmt: skip

_RANGE = ("prefix", "from", "to", "index", "value")


async def rows(request: web.Request) -> web.Response:
    """GET /tables/{table}/rows."""
    here, name = sources(request), table_of(request)
    asked = Query(request, _LIST_PARAMETERS)
    held = held_table(here.tables, name)
    wanted = wanted_of(asked)
    local = is_hop(request) or wanted.local
    # A page of a thousand rows takes a hundred milliseconds to render, and nobody reads it.
    most = USUAL_LIMIT if prefers_html(request) else LIMIT
    limit = min(asked.whole("limit", USUAL_LIMIT, 1, LIMIT), most)
    if not held.partition_count:
        raise unplaced(held, "a list")
    slots = here.hopped_slots if is_hop(request) else here.slots
    with slots.one():
        if asked.has("key"):
            told = await many(request, held, _keys(asked, most), wanted, local=local)
        else:
            selected = selection(
                held,
                prefix=asked.text("prefix"),
                from_=asked.text("from"),
                to=asked.text("to"),
                index=asked.text("index"),
                value=_value(asked),
            )
            mark = selected.mark(name)
            text = asked.text("cursor")
            after = None if text is None else _position(held, text, read_cursor(text, mark))
            page = await gathered(request, held, selected, _partitions(asked, held), limit, after, wanted, local=local)
            told = {
                "table": name,
                "rows": [each.fields for each in page.rows],
                "next": cursor_text(mark, page.rows[-1].key) if page.more else None,
                "partitions": page.partitions,
            }
    if prefers_html(request):
        told = {**told, "indexes": list(held.topic.indexes)}
    return await respond(request, told, "rows", long="rows")


def _value(asked: Query) -> str | None:
    """Return the value to look up in an index, which may be empty; None without an index."""
    text = asked.text("value")
    return "" if text is None and asked.has("value") and asked.text("index") else text


def _position(held: LocalTable, text: str, key: bytes) -> bytes:
    """Return the key of a cursor, if it is of the table's type."""
    try:
        held.topic.key_codec.decode(key)
    except ValueError as error:
        raise invalid_cursor(text, "another text") from error
    return key


def _keys(asked: Query, most: int) -> list[str]:
    keys = asked.many("key")
    given = [name for name in (*_RANGE, "cursor", "partition") if asked.text(name) is not None]
    if given:
        problem = Problem(
            "parameter key", "requires no range, index or cursor beside it", ", ".join(given), "choose one"
        )
        raise MistakeError(problem)
    if len(keys) > most:
        problem = Problem("parameter key", f"requires at most {most} keys", str(len(keys)), "request fewer at a time")
        raise MistakeError(problem)
    return keys


def _partitions(asked: Query, held: LocalTable) -> list[int]:
    wanted = asked.wholes("partition", 0, held.partition_count - 1)
    return wanted or list(range(held.partition_count))


UNTIMED = [row]
"""Answer local rows at once; waits, and requests to other workers, have deadlines of their own."""

ADDRESSES = [("/tables/{table}/rows/{key:[^/]*}", row), ("/tables/{table}/rows", rows)]

_TABLE = parameter("table", "name of the table", where="path")
_WRITTEN = (
    parameter("after", "the token of a write: the answer contains that write"),
    parameter("within", f"seconds to wait for that write, {USUAL_WAIT:g} by default", "number"),
)
_STALENESS = parameter("max_staleness", "the maximum age of the answer in seconds", "number")
_LOCAL = parameter("local", "1: only from this worker, without asking others", "integer")

OPERATIONS = {
    "/tables/{table}/rows/{key}": Operation(
        "One row by its key, from any worker",
        (
            _TABLE,
            parameter("key", "the key as text; bytes in base64url", where="path"),
            *_WRITTEN,
            _STALENESS,
            _LOCAL,
            parameter("until", "a predicate of the table: answer once the row satisfies it, with 202 if time is over"),
            parameter("wait", f"seconds to wait for that, {USUAL_WAIT:g} by default", "number"),
        ),
        "Row",
        (404,),
    ),
    "/tables/{table}/rows": Operation(
        "Rows by range, index or keys, in the order of keys; of all workers",
        (
            _TABLE,
            parameter("prefix", "what keys begin with: text, or bytes in base64url"),
            parameter("from", "the first key"),
            parameter("to", "the key to end before"),
            parameter("index", "an indexed field"),
            parameter("value", "its value"),
            parameter("key", "a key; may be repeated. Rows come in this order, with null for a missing one", "array"),
            parameter("limit", f"rows in one answer, up to {LIMIT}", "integer"),
            parameter("cursor", "`next` of the same list, to continue after it"),
            *_WRITTEN,
            _STALENESS,
            _LOCAL,
            parameter("partition", "only of these partitions; may be repeated", "array"),
        ),
        "Rows",
        (404,),
    ),
}
