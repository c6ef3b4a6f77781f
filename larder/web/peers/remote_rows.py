"""Reads rows from the workers of other services in this one's context.

The broker says where the workers of a service are. Any of them answers for any key. If one does not answer in its share
of the time, another one is asked, and the broker for newer addresses.
"""

from __future__ import annotations

import asyncio
from itertools import count, starmap
from typing import TYPE_CHECKING, Final

import msgspec

from larder.declaring.calls import Unavailable
from larder.group.peers import GroupMember, Peer, read_peers
from larder.kafka.admin import Cluster
from larder.operators.calls.remote_rows import RefusedReadError
from larder.queries.directory import Directory
from larder.queries.key_texts import key_text
from larder.queries.paths import row_path
from larder.web.context_check import CONTEXT
from larder.web.peers.client import Hopped, Hopping

if TYPE_CHECKING:
    from collections.abc import Sequence

    from larder.config.connection import Connection
    from larder.declaring.sources import RemoteTable

TRIES: Final = 2
"""How many workers one read asks at most, one after the other."""

REFUSALS: Final = frozenset({"mistake", "other-context", "no-such-table", "unreadable-row", "misdirected"})
"""The problems that no repetition solves."""


class _Answer(msgspec.Struct):
    row: msgspec.Raw


class RemoteRows:
    """The other services of `context`, as a worker knows them."""

    def __init__(self, connection: Connection, context: str | None) -> None:
        """Start without addresses and connections."""
        self._connection = connection
        self._hopping = Hopping({} if context is None else {CONTEXT: context})
        self._directories: dict[str, Directory] = {}
        self._turn = count()

    async def row(self, remote: RemoteTable, key: bytes) -> bytes | None:
        """Return the JSON of a row; None if there is none. Raise Unavailable, or RefusedReadError."""
        table = remote.table
        path = row_path(table.name, key_text(table.topic, key))
        found: str | None = None
        try:
            async with asyncio.timeout(remote.timeout):
                for attempt in range(TRIES):
                    if (peer := await self._next(table.service, refresh=attempt > 0)) is None:
                        found = "it has no worker"
                        continue
                    answer = await self._hopping.ask(peer, path, remote.timeout / TRIES)
                    if answer is None:
                        found = f"worker {peer.worker} does not answer"
                    elif answer.kind in {"", "no-such-key"}:
                        return _row(answer)
                    elif answer.kind in REFUSALS:
                        raise RefusedReadError(_told(remote, answer))
                    else:
                        found = f"worker {peer.worker} is not sure: {answer.kind}"
        except TimeoutError:
            found = found or "no answer"
        message = f"{table.name} of {table.service}: {found} (within {remote.timeout:g} s)"
        raise Unavailable(message)

    async def close(self) -> None:
        """Close all connections."""
        for each in self._directories.values():
            await each.close()
        await self._hopping.close()

    async def _next(self, service: str, *, refresh: bool) -> Peer | None:
        """Return the worker whose turn it is."""
        if service not in self._directories:
            self._directories[service] = Directory(lambda: self._members(service))
        directory = self._directories[service]
        known = directory.known if directory.known and not refresh else await directory.peers(refresh=refresh)
        reachable = [each for each in known if each.web]
        return reachable[next(self._turn) % len(reachable)] if reachable else None

    async def _members(self, service: str) -> Sequence[Peer] | None:
        async with Cluster(self._connection) as cluster:
            reports = await cluster.reports(service)
        return None if reports is None else read_peers(service, starmap(GroupMember, reports))


def _row(answer: Hopped) -> bytes | None:
    if answer.kind:
        return None
    found = answer.read(_Answer)
    if found is None:
        message = f"worker {answer.peer.worker} answers in an unknown form"
        raise RefusedReadError(message)
    return bytes(found.row)


class _Detail(msgspec.Struct):
    detail: str = ""


def _told(remote: RemoteTable, answer: Hopped) -> str:
    problem = answer.read(_Detail)
    said = answer.kind if problem is None else problem.detail
    return f"{remote.table.service} refuses to read {remote.name}: {said}"
