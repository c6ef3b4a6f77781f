"""Calls as values: what a service calls outside for each event, and when it calls again.

Declaring a call checks nothing, so that the checks can report all mistakes together.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias, TypeVar

import msgspec

from larder.declaring.checks.calls import call_kind_problems, call_problems
from larder.declaring.facts import Facts, dead_letters_name
from larder.declaring.operators import (
    Edge,
    KeptTopic,
    Operator,
    Role,
    Topic,
    names,
    node,
    remote_node,
    source_edges,
)
from larder.declaring.problems import LarderError, Problem
from larder.declaring.sources import RemoteTable, Source, TableUse
from larder.declaring.stored_calls import calls_name, outcomes_name
from larder.declaring.topics import Rekeyed

if TYPE_CHECKING:
    from larder.declaring.service import Service

Function = TypeVar("Function", bound=Callable[..., Any])
Unknown: TypeAlias = Literal["retry", "dead-letter"]


class Unavailable(LarderError):  # noqa: N818 - a state of the other side, and the name that users write
    """Raised by the function of a call: the other side is down, whatever the event is. It is called again later."""


ReadRow: TypeAlias = Callable[[TableUse, Any], Awaitable[Any]]
"""Reads the row of a key from a table that the call declares in `reads`: see `Attempt.get`."""

RAISE: Final = object()
"""In the place of a value to go on with: there is none, so raise the error."""


async def nothing_to_read(table: TableUse, _key: Any) -> Any:
    """Refuse to read a table: the call declares none."""
    raise undeclared(table)


def undeclared(table: TableUse) -> ValueError:
    """Return the error for a table that the call does not declare."""
    return ValueError(f"attempt.get reads the tables that the call names in reads; found {table.name}")


@dataclass(frozen=True)
class Attempt:
    """One attempt of a call.

    key      the idempotency key: the same in each attempt for an event. Hand it on, so that the other side
             does the work once.
    number   1 for the first attempt. It rises, so the other side can refuse an older attempt that arrives late.
    headers  those of the event that go along, by name: `traceparent`, and those that the service declares.
             Hand them on, so that the other side continues the trace.
    read     reads a row for `get`; only a test that makes an attempt gives it.
    """

    key: str
    number: int
    headers: Mapping[str, str] = field(default_factory=dict, hash=False)
    read: ReadRow = field(default=nothing_to_read, repr=False, compare=False)

    async def get(self, table: TableUse, key: Any, *, otherwise: Any = RAISE) -> Any:
        """Return the row of a key, as a worker of the table's service has it; None if there is none.

        table      a table that the call names in `reads`.
        otherwise  what to return if no worker answers in time, or is sure. Without it, this raises `Unavailable`.

        Raise ValueError if the call does not name the table, or if the service refuses the read.
        """
        try:
            return await self.read(table, key)
        except Unavailable:
            if otherwise is RAISE:
                raise
            return otherwise


@dataclass(frozen=True)
class GaveUp:
    """Why a call is not tried any more, for the function in `otherwise`.

    reason    the last failure, as text for people.
    attempts  how many attempts there were.
    """

    reason: str
    attempts: int


class Retry(msgspec.Struct, frozen=True):
    """When a call that failed is tried again, and when it is given up. All times are in seconds.

    first     the pause after the first failure; it doubles with each further one.
    most      the longest pause.
    within    how long after the event's arrival a call may still begin.
    attempts  how many attempts may fail for another reason than an outage of the other side.
    """

    first: float = 0.5
    most: float = 60.0
    within: float = 600.0
    attempts: int = 10


class OnlyWhile(NamedTuple):
    """A call begins only while the row of the event's key in `table` satisfies `predicate`."""

    table: TableUse
    predicate: Callable[[Any], bool]


@dataclass(eq=False)
class Call(Operator):
    """A function that calls something outside for each event of `source`. See `Service.call`."""

    source: Source
    into: tuple[Topic, ...] = ()
    key: Callable[[Any], str] | None = None
    timeout: float = 10.0
    retry: Retry = field(default_factory=Retry)
    at_once: int = 50
    threads: int = 0
    ordered: bool = True
    only_while: OnlyWhile | None = None
    otherwise: Callable[[Any, GaveUp], Any] | None = None
    unknown: Unknown = "retry"
    outages: tuple[type[Exception], ...] = ()
    at_most: int = 10_000
    remote: tuple[RemoteTable, ...] = ()
    named: str = ""
    function: Callable[..., Any] | None = field(default=None)

    kind = "call"

    @property
    def name(self) -> str:
        """The name that its topics have: by default that of its function."""
        if self.named:
            return self.named
        return "none" if self.function is None else getattr(self.function, "__name__", repr(self.function))

    def summary(self) -> dict[str, Any]:
        """Return its kind, its name, its source and the topics of its results."""
        return {"kind": self.kind, "name": self.name, "source": self.source.name, "into": names(self.into)}

    def outline(self) -> dict[str, Any]:
        """Return the same with its limits, in seconds."""
        return {
            **self.summary(),
            "timeout": self.timeout,
            "retry": msgspec.structs.asdict(self.retry),
            "at_once": self.at_once,
            "reads": [{"table": each.name, "service": each.table.service} for each in self.remote],
        }

    def sentence(self) -> str:
        """Describe in one line for which events it calls."""
        into = f" into {', '.join(names(self.into))}" if self.into else ""
        reads = f", reads {', '.join(names(self.remote))}" if self.remote else ""
        return f"call {self.name} for {self.source.name}{into}{reads}"

    def reads(self) -> Sequence[Source]:
        """Return its source."""
        return (self.source,)

    def uses(self) -> Sequence[TableUse]:
        """Return the table of `only_while`."""
        return () if self.only_while is None else (self.only_while.table,)

    def asks(self) -> Sequence[RemoteTable]:
        """Return the tables of `reads`."""
        return self.remote

    def writes(self) -> Sequence[Topic]:
        """Return the topics of its results."""
        return self.into

    def meets(self) -> Iterator[tuple[Source, Source]]:
        """Yield its source with the table of `only_while`, and with itself: its calls lie beside its events."""
        yield self.source, self.source
        for table in self.uses():
            if table.held == "partition":
                yield self.source, table.topic

    def placed_by(self, source: Callable[[Source], Source], table: Callable[[TableUse], TableUse]) -> Call:
        """Replace its source and the table of `only_while`."""
        only = self.only_while
        return replace(
            self,
            source=source(self.source),
            only_while=None if only is None else only._replace(table=table(only.table)),
        )

    def keeps(self, service: str) -> Iterator[KeptTopic]:
        """Yield the topics of its calls and of their outcomes."""
        yield KeptTopic(calls_name(service, self.name, self.generation), Role.CALLS, self.source, compacted=True)
        yield KeptTopic(outcomes_name(service, self.name, self.generation), Role.OUTCOMES, self.source, compacted=False)

    def kind_problems(self, service: Service) -> Iterator[Problem]:
        """Find arguments of the wrong kind."""
        return call_kind_problems(service, self)

    def problems(self, service: Service, facts: Facts) -> Iterator[Problem]:
        """Find all other problems."""
        return call_problems(service, self, facts)

    def edges(self, service: str) -> Iterator[Edge]:
        """Yield the edges of its source, its table, its results, its outcomes and its dead letters."""
        here, outcomes = node(self), f"topic:{outcomes_name(service, self.name, self.generation)}"
        yield from source_edges(service, self.source, here)
        for table in self.uses():
            yield Edge(f"table:{table.name}", here, "only while")
        for remote in self.asks():
            yield Edge(remote_node(remote), here, remote.table.service)
        for topic in self.into:
            yield Edge(here, f"topic:{topic.name}")
        yield Edge(here, f"topic:{calls_name(service, self.name, self.generation)}", "calls")
        yield Edge(here, outcomes, "outcomes")
        yield Edge(outcomes, here)
        yield Edge(here, f"topic:{dead_letters_name(service)}", "parked")

    @property
    def generation(self) -> int:
        """The generation of the service whose partitions its events are in."""
        return self.source.generation if isinstance(self.source, Rekeyed) else 1

    def __call__(self, function: Function) -> Function:
        """Set the function, as a decorator; there is no other form."""
        self.function = function
        return function
