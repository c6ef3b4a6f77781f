"""Lists over all workers: each is asked for its partitions at once, and their rows are merged.

If no worker answers for a partition, the whole list is an error that names it: a list that silently lacks rows would be
wrong.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from larder.declaring.problems import Problem
from larder.queries.certainty import partitions_of_key
from larder.queries.cursors import cursor_text
from larder.queries.key_texts import encoded_key
from larder.queries.lists import ListedRow, how_far, page, require_listable, rows_of
from larder.queries.lookup_errors import LookupFailedError
from larder.queries.paths import rows_path, some_keys
from larder.queries.routing import share
from larder.store.reading.ranges import ordering
from larder.web.peers.client import HOP_SECONDS, hopping
from larder.web.peers.rows import CONTRADICTIONS, is_known_as_mine, unserved
from larder.web.sources import sources

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence

    from aiohttp import web

    from larder.group.peers import Peer
    from larder.local_tables.table import LocalTable
    from larder.queries.lists import Selection
    from larder.web.read_options import ReadOptions

KEYS_BYTES = 32 * 1024
"""The limit of a request for many keys to another worker, which accepts twice as much."""


class Gathered(NamedTuple):
    """Rows by key, whether there are more, and the progress of the partitions."""

    rows: list[ListedRow]
    more: bool
    partitions: list[dict[str, Any]]


class _TheirRows(msgspec.Struct):
    rows: list[dict[str, msgspec.Raw]]
    next: str | None
    partitions: list[dict[str, Any]]


class _Problem(msgspec.Struct):
    declared: str
    requires: str
    found: str
    do: str
    partition: int | None = None
    state: str | None = None
    position: int | None = None
    end: int | None = None
    expected_end_s: float | None = None


class ToldError(LookupFailedError):
    """The problem that another worker reported, passed on unchanged."""

    def __init__(self, kind: str, told: _Problem, retry_after: int | None) -> None:
        """Keep the kind of the problem."""
        extras = {
            name: value
            for name in ("partition", "state", "position", "end", "expected_end_s")
            if (value := getattr(told, name)) is not None
        }
        problem = Problem(told.declared, f"requires {told.requires}", told.found, told.do)
        super().__init__(problem, retry_after=retry_after, **extras)
        self.kind = kind  # type: ignore[misc]  # that of this one


async def gathered(  # noqa: PLR0913, PLR0917 - what is asked for
    request: web.Request,
    held: LocalTable,
    selected: Selection,
    partitions: Sequence[int],
    limit: int,
    after: bytes | None,
    wanted: ReadOptions,
    *,
    local: bool,
) -> Gathered:
    """Return a page of a list of all `partitions`, after the encoded key `after`."""
    here, topic = sources(request), held.topic
    mark = selected.mark(topic.name)
    still = _still(wanted)

    async def from_here(numbers: Sequence[int]) -> Gathered:
        await still().written(held.stored, numbers)
        require_listable(held, numbers, here.clock(), wanted.max_staleness)
        measured = how_far(held, numbers, here.clock(), here.worker)
        found = await page(held, selected, numbers, limit, after)
        return Gathered(found.rows, found.more, measured)

    def query(numbers: Sequence[int]) -> list[tuple[str, Any]]:
        given: list[tuple[str, Any]] = [*selected.given, ("limit", limit), *(("partition", each) for each in numbers)]
        if after is not None:
            given.append(("cursor", cursor_text(mark, after)))
        return given

    async def from_there(peer: Peer, numbers: Sequence[int]) -> Gathered | None:
        theirs = await _asked(request, peer, topic.name, query(numbers), still())
        if theirs is None or not _are_all(theirs.partitions, numbers):
            return None
        rows = [ListedRow(encoded_key(topic, msgspec.json.decode(each["key"], type=str)), each) for each in theirs.rows]
        return Gathered(rows, theirs.next is not None, theirs.partitions)

    if held.held == "global" or local:
        return await from_here(partitions)
    pages = await _from_all(request, held, partitions, from_here, from_there)
    return merged(pages, limit, ordering(topic.key_codec))


def merged(pages: Sequence[Gathered], limit: int, order: Callable[[bytes], Any]) -> Gathered:
    """Merge pages of several workers; pure.

    If a page has more rows, the list ends at its last key: later rows of other pages belong to the next page.
    """
    ends = [order(each.rows[-1].key) for each in pages if each.more and each.rows]
    rows = sorted((row for each in pages for row in each.rows), key=lambda row: order(row.key))
    kept = [row for row in rows if not ends or order(row.key) <= min(ends)][:limit]
    partitions = sorted((told for each in pages for told in each.partitions), key=lambda told: told["partition"])
    return Gathered(kept, bool(ends) or len(kept) < len(rows), partitions)


async def _from_all(
    request: web.Request,
    held: LocalTable,
    partitions: Sequence[int],
    from_here: Callable[[Sequence[int]], Awaitable[Gathered]],
    from_there: Callable[[Peer, Sequence[int]], Awaitable[Gathered | None]],
) -> list[Gathered]:
    """Ask all workers with these partitions at once; ask again by a new directory for partitions without an answer."""
    here = sources(request)
    pages: list[Gathered] = []
    left, unreachable = list(partitions), set[str]()
    for refresh in (False, True):
        peers: Sequence[Peer] = ()
        if not all(is_known_as_mine(here, held, each) for each in left):
            peers = await here.directory.peers(refresh=refresh)
        shares = share(held, left, peers, here.worker, unreachable)
        mine = [from_here(shares.here)] if shares.here else []
        found = await asyncio.gather(*mine, *(from_there(peer, numbers) for peer, numbers in shares.elsewhere))
        pages += [page for page in found if page is not None]
        lost = [each for each, page in zip(shares.elsewhere, found[len(mine) :], strict=True) if page is None]
        unreachable |= {peer.worker for peer, _ in lost}
        left = [*shares.nowhere, *(number for _, numbers in lost for number in numbers)]
        if not left:
            return pages
    raise unserved(held, "a list", sorted(left))


async def many(
    request: web.Request, held: LocalTable, texts: Sequence[str], wanted: ReadOptions, *, local: bool
) -> dict[str, Any]:
    """Return the rows in the order of the keys; null for a missing row."""
    here, topic = sources(request), held.topic
    by_partition: defaultdict[int, list[str]] = defaultdict(list)
    for text in dict.fromkeys(texts):
        by_partition[partitions_of_key(held, encoded_key(topic, text))[0]].append(text)
    still = _still(wanted)
    whole = held.held == "global"
    partitions = range(held.partition_count) if whole else sorted(by_partition)

    def keys(numbers: Collection[int]) -> list[str]:
        return [text for number in ([*by_partition] if whole else numbers) for text in by_partition[number]]

    async def from_here(numbers: Sequence[int]) -> Gathered:
        await still().written(held.stored, numbers)
        if wanted.max_staleness is not None:
            require_listable(held, numbers, here.clock(), wanted.max_staleness)
        measured = how_far(held, numbers, here.clock(), here.worker)
        told = await rows_of(held, keys(numbers), here.clock, here.max_age)
        return Gathered([ListedRow(b"", each) for each in told], more=False, partitions=measured)

    async def from_there(peer: Peer, numbers: Sequence[int]) -> Gathered | None:
        rows: list[ListedRow] = []
        measured: dict[int, dict[str, Any]] = {}
        for some in some_keys(keys(numbers), KEYS_BYTES):
            theirs = await _asked(request, peer, topic.name, [("key", key) for key in some], still())
            if theirs is None:
                return None
            rows += [ListedRow(b"", each) for each in theirs.rows]
            # The first measurement is true of all rows that came after it.
            measured = {each["partition"]: each for each in theirs.partitions} | measured
        if not _are_all(measured.values(), numbers):
            return None
        return Gathered(rows, more=False, partitions=[*measured.values()])

    if whole or local:
        pages = [await from_here(partitions)]
    else:
        pages = await _from_all(request, held, partitions, from_here, from_there)
    found = {_text(row.fields["key"]): row.fields for each in pages for row in each.rows}
    measured = sorted((told for each in pages for told in each.partitions), key=lambda told: told["partition"])
    return {"table": topic.name, "rows": [found[text] for text in texts], "next": None, "partitions": measured}


def _are_all(measured: Iterable[Mapping[str, Any]], numbers: Collection[int]) -> bool:
    """Return whether the ends of all these partitions are known."""
    return {each["partition"] for each in measured}.issuperset(numbers)


def _text(key: Any) -> str:
    return key if isinstance(key, str) else msgspec.json.decode(key, type=str)


def _still(wanted: ReadOptions) -> Callable[[], ReadOptions]:
    """Return a function that returns the options for the remaining time: all requests, even repeated ones, share it."""
    began = time.monotonic()
    return lambda: wanted.later(time.monotonic() - began)


async def _asked(
    request: web.Request, peer: Peer, table: str, query: Sequence[tuple[str, Any]], wanted: ReadOptions
) -> _TheirRows | None:
    """Ask another worker; return None if it does not answer or is the wrong one, and raise any other problem."""
    path = rows_path(table, [*query, *wanted.query()])
    answer = await hopping(request).ask(peer, path, HOP_SECONDS + wanted.wait)
    if answer is None or answer.kind in CONTRADICTIONS:
        return None
    if not answer.kind:
        return answer.read(_TheirRows)
    if (told := answer.read(_Problem)) is None:
        return None
    retry = answer.headers.get("Retry-After", "")
    raise ToldError(answer.kind, told, int(retry) if retry.isdigit() else None)
