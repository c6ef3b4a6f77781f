"""Tables: their names, the fields of their rows, and the progress of each partition, on every worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from larder.observability.sums import over_all
from larder.queries.cursors import cursor_text
from larder.queries.lists import how_far, selection
from larder.queries.lookup import held_table
from larder.queries.lookup_errors import LookupFailedError
from larder.queries.paths import table_path
from larder.queries.routing import candidates, is_mine
from larder.queries.row_answers import state_name
from larder.store import StoreError
from larder.web.described_fields import described_fields
from larder.web.openapi import Operation, parameter
from larder.web.parameters import Query, is_hop, table_of
from larder.web.peers.fan_out import told_by_others
from larder.web.peers.lists import gathered
from larder.web.peers.rows import is_known_as_mine
from larder.web.read_options import NOTHING
from larder.web.responses import prefers_html, respond
from larder.web.sources import sources

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from aiohttp import web

    from larder.group.peers import Peer
    from larder.local_tables.table import LocalTable
    from larder.web.sources import Sources


FIRST_ROWS = 50


async def tables(request: web.Request) -> web.Response:
    """GET /tables, of this worker."""
    Query(request, ())
    here = sources(request)
    told = [_summary(here, here.tables[name]) for name in here.declared]
    return await respond(request, {"tables": told, "worker": here.worker}, "tables")


def _summary(here: Sources, held: LocalTable) -> dict[str, Any]:
    table = held.stored
    now = here.clock()
    partitions = how_far(held, table.partitions, now, here.worker)
    phases = [table.state(each).phase for each in table.partitions if is_mine(held, each)]
    phases = phases or [table.state(each).phase for each in table.partitions]
    return {
        "table": held.topic.name,
        "held": table.held,
        "topic": table.topic.name,
        "rows": table.sizes().rows,
        "partitions": partitions,
        "state": state_name(min(phases)) if phases else "not here",
        "lag": over_all(sum, [each["lag"] for each in partitions]),
        "freshness_s": over_all(max, [each["freshness_s"] for each in partitions]),
    }


class _TheirTables(msgspec.Struct):
    partitions: list[dict[str, Any]]


async def table(request: web.Request) -> web.Response:
    """GET /tables/{table}, with the partitions of all workers."""
    asked = Query(request, ("local",))
    here, name = sources(request), table_of(request)
    held = held_table(here.tables, name)
    local = is_hop(request) or asked.flag("local")
    topic, sizes = held.topic, held.stored.sizes()
    mine = _told_here(here, held)
    partitions, silent = (mine, []) if local else await _of_all(request, held, mine)
    counted = mine if held.held == "global" else [each for each in partitions if each["state"] != "standby"]
    told = {
        "table": name,
        "held": held.held,
        "topic": topic.name,
        "key": topic.key,
        "key_type": topic.key_codec.name,
        "revision": topic.revision,
        "owner": topic.owner,
        "fields": described_fields(topic),
        "indexes": list(topic.indexes),
        "building": held.stored.building,
        "rows": sum(each["rows"] or 0 for each in counted),
        "parked": sizes.rejected,
        "disk_bytes": sizes.disk_bytes,
        "partitions": partitions,
        "silent": silent,
        "worker": here.worker,
    }
    if prefers_html(request):
        told["page"] = await _first_rows(request, held, local=local)
    return await respond(request, told, "table")


async def _first_rows(request: web.Request, held: LocalTable, *, local: bool) -> dict[str, Any] | None:
    """Return the first rows for the page of the table; None while they cannot be listed."""
    here, name = sources(request), held.topic.name
    if not held.partition_count:
        return None
    selected = selection(held, prefix=None, from_=None, to=None, index=None, value=None)
    asked = [each for each in held.partitions if is_mine(held, each)] if local else range(held.partition_count)
    try:
        with here.slots.one():
            page = await gathered(request, held, selected, asked, FIRST_ROWS, None, NOTHING, local=local)
    except (LookupFailedError, StoreError):
        return None
    return {
        "table": name,
        "rows": [each.fields for each in page.rows],
        "next": cursor_text(selected.mark(name), page.rows[-1].key) if page.more else None,
        "partitions": page.partitions,
    }


def _row_counts(held: LocalTable) -> dict[int, int]:
    return {each: held.stored.shard(each).marks[each].rows for each in held.partitions}


def _told_here(here: Sources, held: LocalTable) -> list[dict[str, Any]]:
    rows, web = _row_counts(held), here.address() or None
    return [
        {**each, "web": web, "rows": rows[each["partition"]]}
        for each in how_far(held, held.partitions, here.clock(), here.worker)
    ]


async def _of_all(
    request: web.Request, held: LocalTable, mine: Sequence[Mapping[str, Any]]
) -> tuple[list[Any], list[str]]:
    """Return the partitions of all workers, and the names of the workers that did not answer."""
    here, name = sources(request), held.topic.name
    said = await told_by_others(request, f"{table_path(name)}?local=1", _TheirTables)
    told = [*mine, *(each for theirs in said.values() if theirs is not None for each in theirs.partitions)]
    known = {each["partition"] for each in told if each["state"] != "standby"}
    peers = here.directory.known
    told += [_unknown(here, held, peers, each) for each in range(held.partition_count) if each not in known]
    silent = [worker for worker, theirs in said.items() if theirs is None]
    return sorted(told, key=lambda each: (each["partition"], each["state"] == "standby", each["worker"] or "")), silent


def _unknown(here: Sources, held: LocalTable, peers: Iterable[Peer], partition: int) -> dict[str, Any]:
    name = held.stored.topic.name
    others = candidates(peers, name, partition, here.worker)
    owner = next((peer for peer in others if peer.processes(name, partition)), None)
    state = "unserved" if owner is None else "no answer"
    if is_known_as_mine(here, held, partition):
        state = "starting"
    return {
        "partition": partition,
        "worker": None if owner is None else owner.worker,
        "web": None if owner is None else owner.web,
        "state": state,
        "position": None,
        "end": None,
        "lag": None,
        "freshness_s": None,
        "rows": None,
    }


ADDRESSES = [("/tables", tables), ("/tables/{table}", table)]

OPERATIONS = {
    "/tables": Operation("The tables of this worker: rows, state, lag", (), "Tables"),
    "/tables/{table}": Operation(
        "One table: fields, indexes, sizes on this worker, and partitions on all of them",
        (
            parameter("table", "name of the table", where="path"),
            parameter("local", "1: only from this worker, without asking others", "integer"),
        ),
        "Table",
        (404,),
    ),
}
