"""The sources of the routes' answers: given to the application once, read for each request."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web

from larder.clock import now
from larder.config.connection import Connection
from larder.declaring.carried import TRACEPARENT
from larder.operators.decides.requests import RequestDesk
from larder.queries.directory import Directory
from larder.web.scan_slots import HOPPED_SCANS, ScanSlots

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from larder.declaring.calls import Call
    from larder.declaring.predicates import Predicate
    from larder.declaring.requests import Request
    from larder.declaring.service import Service
    from larder.local_tables.table import LocalTable


def _nobody() -> Directory:
    async def nobody() -> None:
        return None

    return Directory(nobody)


@dataclass(frozen=True)
class Sources:
    """One worker, as its web port needs it.

    status     returns what `/services` reports about this worker, for each request.
    tables     its tables by name, including internal ones.
    declared   the names of the declared tables, in order.
    max_age    seconds (the session timeout): a missing key is reported as missing only if the partition was at its end
               within this time.
    directory  the other workers of the service.
    address    where other workers reach this one; "" while that is unknown.
    bound      the address that the port is bound to, if requests may use no other name; None: they may use any.
    clock      returns seconds since 1970.
    connection how to reach the brokers, to read dead letters.
    warnings   what the process has too little of.
    requests   the requests that the service declares, and the desk that takes them here.
    predicates what clients may wait for.
    context    the context of the service; None if it declares none.
    carried    the names of the headers of requests that go along.
    services   returns the services that the loaded modules declare.
    calls      returns the calls of the service as it runs now.
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
    requests: Sequence[Request] = ()
    desk: RequestDesk = field(default_factory=RequestDesk)
    predicates: Sequence[Predicate] = ()
    context: str | None = None
    carried: Collection[str] = (TRACEPARENT,)
    services: Callable[[], Sequence[Service]] = tuple
    calls: Callable[[], Sequence[Call]] = tuple
    slots: ScanSlots = field(default_factory=ScanSlots)
    hopped_slots: ScanSlots = field(default_factory=lambda: ScanSlots(HOPPED_SCANS))


SOURCES = web.AppKey("sources", Sources)


def sources(request: web.Request) -> Sources:
    """Return the sources for this request."""
    return request.app[SOURCES]
