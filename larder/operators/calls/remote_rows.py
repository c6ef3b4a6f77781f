"""Reads rows of other services' tables for the functions of calls, and counts how that ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from larder.declaring.calls import Unavailable, undeclared
from larder.declaring.compiled.calls import CompiledCall
from larder.declaring.sources import RemoteTable, TableUse

FetchRow = Callable[[RemoteTable, bytes], Awaitable[bytes | None]]
"""Returns the JSON of a row by its encoded key; None if there is none.

Raises `Unavailable` if no worker of the table's service answers in time or is sure, and RefusedReadError if one
refuses.
"""


class RefusedReadError(ValueError):
    """A worker of the other service refuses to read the table: no repetition helps."""


class ReadEnd(NamedTuple):
    """How a read ended: `result` is "row", "absent", "unavailable" or "failed"."""

    service: str
    table: str
    result: str


async def nobody(remote: RemoteTable, _key: bytes) -> bytes | None:
    """Read nothing: this process reaches no other service."""
    message = f"{remote.name} of {remote.table.service}: this process reaches no other service"
    raise Unavailable(message)


@dataclass(frozen=True)
class RowReader:
    """What an `Attempt` reads rows with."""

    compiled: CompiledCall
    fetch: FetchRow
    counts: Counter[ReadEnd]

    async def __call__(self, table: TableUse, key: Any) -> Any:
        """Return the typed row of a key; None if there is none."""
        if (known := self.compiled.remote.get((table.service, table.name))) is None:
            raise undeclared(table)
        remote, decode = known
        result = "failed"
        try:
            found = await self.fetch(remote, table.topic.key_codec.encode(key))
            row = None if found is None else decode(found)
            result = "absent" if found is None else "row"
        except Unavailable:
            result = "unavailable"
            raise
        finally:
            self.counts[ReadEnd(table.service, table.name, result)] += 1
        return row
