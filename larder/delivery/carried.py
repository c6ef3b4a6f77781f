"""The headers that go along: from a record to what is made from it.

These are the trace of W3C Trace Context, and the headers that the service declares. A record with a trace also says
what it was made from, when, and by which worker, so that its story can be told from the topics alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from operator import attrgetter
from types import MappingProxyType
from typing import Final, NamedTuple

from larder.counters.left_out_headers import LeftOutHeaders
from larder.declaring.carried import LONGEST_NAME, MOST_CARRIED, TRACEPARENT, carried_by_request
from larder.declaring.dead_letters import CAUSED_BY, MOVED, origin
from larder.declaring.records import Record
from larder.delivery.headers import MADE_HEADER
from larder.delivery.output import HEADER_OVERHEAD, NO_HEADERS, Header, Headers, size_of_headers

LARGEST_NAME: Final = LONGEST_NAME + HEADER_OVERHEAD
"""The most bytes that a header adds to a record beside its value, if a service may declare its name."""

_headers_of: Final = attrgetter("headers")


class Carrying(NamedTuple):
    """Which headers a service carries along, by name, and the worker that does it.

    Its records in `passages` are those of other topics on their way to one of its partitions.
    """

    names: frozenset[str] = frozenset({TRACEPARENT})
    passages: Collection[str] = ()
    worker: str = ""


TRACE_ONLY: Final = Carrying()


class CarriedHeaders:
    """What the records of one partition carry to what is made from them; `clock` returns seconds since the epoch."""

    def __init__(
        self,
        carrying: Carrying,
        topic: str,
        partition: int,
        left_out: LeftOutHeaders,
        clock: Callable[[], float],
    ) -> None:
        self._names = carrying.names
        self._worker = carrying.worker
        self._on_the_way = topic in carrying.passages
        self._topic = topic
        self._partition = partition
        self._place = f"{topic}/{partition}/".encode()
        self._left_out = left_out
        self._clock = clock

    def of(self, record: Record) -> Headers:
        """Return the headers of what is made from a record; none if they are too large together."""
        return self._along(record, self._made()) if record.headers else NO_HEADERS

    def of_all(self, records: Sequence[Record]) -> Sequence[Headers] | None:
        """Return the same for each record; None if no record has any headers, which costs next to nothing."""
        if not any(map(_headers_of, records)):
            return None
        made = self._made()
        return [self._along(record, made) if record.headers else NO_HEADERS for record in records]

    def again(self, headers: Headers) -> Headers:
        """Return the headers of what is made without a record: from a request, or later from an earlier decision."""
        going = self._bounded([header for header in headers if header[0] != MADE_HEADER])
        return [*going, self._made()] if _is_traced(going) else going

    def outside(self, record: Record) -> Mapping[str, str]:
        """Return the headers that go along to what a call asks outside: as text, without those that are no text."""
        found = [header for header in record.headers if header[0] in self._names]
        if size_of_headers(found) > MOST_CARRIED:
            return MappingProxyType({})
        # Surrogates cannot be printed, so that bytes which are no UTF-8 are ignored like other values that are no text.
        texts = {name: value.decode(errors="surrogateescape") for name, value in found if value is not None}
        return MappingProxyType(carried_by_request(texts, self._names))

    def passed_on(self, record: Record) -> Headers:
        """Return all headers of a record that is passed on unchanged, with its own place as cause if it has a trace."""
        headers = list(record.headers)
        if not _is_traced(headers):
            return headers
        return [*(header for header in headers if header[0] != CAUSED_BY), self._cause(record)]

    def all_passed_on(self, records: Sequence[Record]) -> Sequence[Headers] | None:
        """Return the same for each record; None if no record has any headers."""
        return [self.passed_on(record) for record in records] if any(map(_headers_of, records)) else None

    def _along(self, record: Record, made: Header) -> Headers:
        going = self._bounded([header for header in record.headers if header[0] in self._names])
        return [*going, self._cause(record), made] if _is_traced(going) else going

    def _bounded(self, headers: Headers) -> Headers:
        if _is_small(headers) or size_of_headers(headers) <= MOST_CARRIED:
            return headers
        self._left_out.note(self._topic, f"they have more than {MOST_CARRIED} bytes together")
        return NO_HEADERS

    def _cause(self, record: Record) -> Header:
        """Name a record; one on its way names the record of the other topic."""
        if self._on_the_way and (cause := dict(record.headers).get(CAUSED_BY)):
            return CAUSED_BY, cause
        if record.offset >= MOVED:
            return CAUSED_BY, str(origin(self._topic, self._partition, record)).encode()
        return CAUSED_BY, b"%b%d" % (self._place, record.offset)

    def _made(self) -> Header:
        return MADE_HEADER, f"{int(self._clock() * 1000)} {self._worker}".encode()


def _is_traced(headers: Headers) -> bool:
    for name, _ in headers:  # noqa: SIM110 - half the time, for each record
        if name == TRACEPARENT:
            return True
    return False


def _is_small(headers: Headers) -> bool:
    """Return whether headers with declared names are surely small enough; it takes a fifth of measuring them."""
    size = 0
    for _, value in headers:
        size += LARGEST_NAME + len(value or b"")
    return size <= MOST_CARRIED
