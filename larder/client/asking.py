"""Sends queries to any worker, and turns its answers into the results of commands.

Any worker answers for every table of its service, so the first answer counts. "I do not know" and "there is no such
row" are different answers: the kind of the problem (`urn:larder:<kind>`) distinguishes them.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from larder.client.local_workers import ANSWER_SECONDS, LocalWorker, ask, local_workers
from larder.config.addresses import is_address
from larder.config.errors import MistakeError, UnavailableError
from larder.config.settings import load_settings
from larder.declaring.plurals import counted
from larder.declaring.problems import Problem
from larder.queries.paths import rows_path, some_keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from larder.client.local_workers import Reply

OK = 200

LIST_SECONDS = 15.0
"""The timeout for a list, which several workers may have to answer."""

PAGE_ROWS = 1_000
"""Rows in one answer, at most."""


def workers_at(at: str | None) -> list[LocalWorker]:
    """Return the worker at an address, or those that use the data directory; raises `MistakeError`."""
    if at is None:
        return local_workers(load_settings().settings.directory)
    try:
        parts = urlsplit(at)
        complete = parts.scheme == "http" and parts.path in {"", "/"} and is_address(parts.netloc, needs_port=True)
    except ValueError:
        complete = False
    if not complete:
        raise MistakeError(
            Problem("--at", "requires http://host:port", repr(at), "see the first line of a worker's log")
        )
    return [LocalWorker("", at, 0, f"http://{parts.netloc}")]


def answered(
    workers: Sequence[LocalWorker], table: str, asked: str, path: str, seconds: float = ANSWER_SECONDS
) -> Reply:
    """Return the first reply that has an answer, or that is certain that there is no such key.

    `asked` describes the query, as "key c1". Raises `MistakeError` and `UnavailableError`.
    """
    replies = []
    for worker in workers:
        reply = ask(worker, path, seconds)
        if reply.status == OK or reply.kind == "no-such-key":
            return reply
        refuse_mistake(reply)
        replies.append(reply)
    raise nobody(table, asked, replies)


def refuse_mistake(reply: Reply) -> None:
    """Raise `MistakeError` if a worker says that the query is invalid."""
    if reply.kind == "mistake":
        raise MistakeError(_problem(reply))


def rows_of_keys(workers: Sequence[LocalWorker], table: str, keys: Sequence[str]) -> list[dict[str, Any]]:
    """Look up many keys; return existing rows in the order of the keys."""
    rows: list[dict[str, Any]] = []
    for some in some_keys(keys):
        path = rows_path(table, [("key", key) for key in some])
        rows += answered(workers, table, counted(len(keys), "key"), path, LIST_SECONDS).body["rows"]
    return rows


class RowList(NamedTuple):
    """Rows, the cursor after them, and the number of keys in the table whose newest record was rejected."""

    rows: list[dict[str, Any]]
    next: str | None
    unreadable: int


def rows_in_pages(
    workers: Sequence[LocalWorker], table: str, chosen: Sequence[tuple[str, str]], limit: int, cursor: str | None
) -> RowList:
    """Return up to `limit` rows from a cursor on, page by page."""
    rows: list[dict[str, Any]] = []
    while True:
        asked = [*chosen, ("limit", str(min(limit - len(rows), PAGE_ROWS)))]
        asked += [] if cursor is None else [("cursor", cursor)]
        body = answered(workers, table, "a list of rows", rows_path(table, asked), LIST_SECONDS).body
        rows += body["rows"]
        cursor = body["next"]
        if cursor is None or len(rows) >= limit:
            return RowList(rows, cursor, sum(each.get("unreadable", 0) for each in body.get("partitions", ())))


def _problem(reply: Reply) -> Problem:
    body = {name: str(reply.body.get(name, "")) for name in Problem._fields}
    return Problem(**{**body, "requires": f"requires {body['requires']}"})


def nobody(table: str, asked: str, replies: Sequence[Reply]) -> MistakeError | UnavailableError:
    """Return the error for a query that no worker could answer."""
    if replies and all(reply.kind == "no-such-table" for reply in replies) and not replies[0].worker.service:
        return MistakeError(_problem(replies[0]))  # the worker of --at
    holder = _holder(table) if not replies or replies[0].worker.service else ""
    requires = "requires a worker that knows the answer"
    found = "; ".join(f"{each.worker.worker}: {each.said}" for each in replies) or "no local worker at all"
    do = f"start one: larder worker {holder}" if not replies else "try again, or start the missing worker"
    return UnavailableError(Problem(f"table {table}, {asked}", requires, found, do))


def _holder(table: str) -> str:
    """Return a service that has a table; raises `MistakeError` if none declares it."""
    from larder.config.declared import declared_services, unconfigured  # noqa: PLC0415 - imports what the user wrote

    services = declared_services(load_settings().settings.modules).values()
    holders = {use.name: service.name for service in services for use in service.tables}
    if table not in holders:
        near = difflib.get_close_matches(table, holders, 1)
        do = f"did you mean {near[0]}?" if near else "see larder services for what is declared"
        found = f"none of that name, but {', '.join(holders) or 'no table at all'}{unconfigured()}"
        raise MistakeError(Problem(f"table {table}", "requires a declared table", found, do))
    return holders[table]
