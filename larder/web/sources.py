"""What the addresses are answered from: handed to the application once, read at each request."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web

from larder.clock import now
from larder.config.connection import Connection
from larder.queries.directory import Directory
from larder.web.scan_slots import HOPPED_SCANS, ScanSlots

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from larder.local_tables.table import LocalTable


def _nobody() -> Directory:
    async def nobody() -> None:
        return None

    return Directory(nobody)


@dataclass(frozen=True)
class Sources:
    """One worker, as its web port sees it.

    status     asked at each request for what `/services` says of this worker.
    tables     its tables by name, those that nobody declared included.
    declared   the names of those that somebody did, in their order.
    max_age    seconds (the session timeout): an absent key is called absent only while the partition's end was met no
               longer ago than that.
    directory  who else is there.
    address    where others reach this worker, "" while that is not known.
    bound      the address that the port is bound to, where requests may use no other name; None: they may use any.
    clock      seconds since 1970.
    connection how to reach the brokers, where dead letters are read.
    warnings   what the process lacks, though it works without.
    """

    status: Callable[[], dict[str, Any]]
    tables: Mapping[str, LocalTable]
    max_age: float
    service: str = ""
    worker: str = ""
    declared: Sequence[str] = ()
    directory: Directory = field(default_factory=_nobody)
    address: Callable[[], str] = str
    bound: str | None = None
    clock: Callable[[], float] = now
    connection: Connection = Connection("")
    warnings: Sequence[str] = ()
    slots: ScanSlots = field(default_factory=ScanSlots)
    hopped_slots: ScanSlots = field(default_factory=lambda: ScanSlots(HOPPED_SCANS))


SOURCES = web.AppKey("sources", Sources)


def sources(request: web.Request) -> Sources:
    """Give what this request is answered from."""
    return request.app[SOURCES]
