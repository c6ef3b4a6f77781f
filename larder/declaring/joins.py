"""Joins as values: a source, the rows looked up for it, and the topic of the results.

Declaring a join checks nothing, so that the checks can report all mistakes together
(`larder.declaring.checks.declarations`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from larder.declaring.checks.joins import join_problems
from larder.declaring.checks.kinds import join_kind_problems
from larder.declaring.facts import Facts, dead_letters_name, joined_name, waiting_name
from larder.declaring.missing import Step, Terminal, Wait
from larder.declaring.operators import Edge, KeptTopic, Operator, Passage, Role, Topic, names, node, source_edges
from larder.declaring.problems import Problem
from larder.declaring.sources import Lookup, Source, TableUse, events_of
from larder.declaring.topics import EventTopic, OwnerTopic, Rekeyed

if TYPE_CHECKING:
    from larder.declaring.service import Service

Function = TypeVar("Function", bound=Callable[..., Any])

_BASE64 = 4 / 3
"""How much larger a waiting record is: its bytes are kept in base64."""


@dataclass(eq=False)
class Join(Operator):
    """A join of the records of `source` with their rows, into a topic.

    `lookups` are in the order of declaration, and so are the rows that a function gets. `missing` is the chain of
    steps for a record that lacks a row.
    """

    source: Source
    lookups: tuple[Lookup, ...]
    into: EventTopic | OwnerTopic
    missing: tuple[Step, ...]
    function: Callable[..., Any] | None = field(default=None)

    kind = "join"
    listed_as = "joins"
    lets_wait = True

    @property
    def name(self) -> str:
        """The name of its output topic."""
        return self.into.name

    def summary(self) -> dict[str, Any]:
        """Return its name and its source."""
        return {"name": self.name, "source": self.source.name}

    def outline(self) -> dict[str, Any]:
        """Return its source, its tables with their fields, its output topic, and the steps for a missing partner."""
        return {
            "source": self.source.name,
            "tables": [{"table": each.table.name, "on": each.field} for each in self.lookups],
            "into": self.into.name,
            "missing": [repr(step) for step in self.missing],
        }

    def sentence(self) -> str:
        """Describe in one line which source is joined with which tables."""
        tables = ", ".join(f"{each.table.name} on {each.field}" for each in self.lookups)
        return f"join {self.source.name} with {tables} into {self.into.name}"

    def reads(self) -> Sequence[Source]:
        """Return its source."""
        return (self.source,)

    def uses(self) -> Sequence[TableUse]:
        """Return the tables of its rows."""
        return tuple(lookup.table for lookup in self.lookups)

    def writes(self) -> Sequence[Topic]:
        """Return the topic of its results."""
        return (self.into,)

    def meets(self) -> Iterator[tuple[Source, Topic]]:
        """Yield its source with each of its co-partitioned tables."""
        for table in self.uses():
            if table.held == "partition":
                yield self.source, table.topic

    def placed_by(self, source: Callable[[Source], Source], table: Callable[[TableUse], TableUse]) -> Join:
        """Replace its source, if it meets tables by partition, and its tables."""
        read = source(self.source) if any(self.meets()) else self.source
        return replace(
            self, source=read, lookups=tuple(replace(each, table=table(each.table)) for each in self.lookups)
        )

    def keeps(self, service: str) -> Iterator[KeptTopic]:
        """Yield the topic that collects results, and the topic in which records wait."""
        if self.gathers:
            yield KeptTopic(joined_name(service, self), Role.JOINED, self.into, compacted=False)
        if self.wait is not None:
            yield KeptTopic(waiting_name(service, self), Role.WAITING, self.source, compacted=True)

    def passages(self, service: str) -> Iterator[Passage]:
        """Yield the passages to the topics of results that no function makes, and to the topic of waiting records."""
        source = events_of(self.source).name
        if self.function is None:
            yield Passage(source, self.into.name, rows=tuple(names(self.uses())))
            if self.gathers:
                yield Passage(source, joined_name(service, self), rows=tuple(names(self.uses())))
        if self.wait is not None:
            yield Passage(source, waiting_name(service, self), growth=_BASE64)

    def kind_problems(self, service: Service) -> Iterator[Problem]:
        """Find arguments of the wrong kind."""
        return join_kind_problems(service, self)

    def problems(self, service: Service, facts: Facts) -> Iterator[Problem]:
        """Find all other problems."""
        return join_problems(service, self, facts)

    def edges(self, service: str) -> Iterator[Edge]:
        """Yield the edges of its records, rows and results, of waiting records, and of dead letters."""
        here, into = node(self), f"topic:{self.into.name}"
        yield from source_edges(service, self.source, here)
        for lookup in self.lookups:
            yield Edge(f"table:{lookup.table.name}", here, lookup.field or "")
        if self.gathers:
            gathered = f"topic:{joined_name(service, self)}"
            yield Edge(here, gathered)
            yield Edge(gathered, into)
        else:
            yield Edge(here, into)
        if self.wait is not None:
            waiting = f"topic:{waiting_name(service, self)}"
            yield Edge(here, waiting, "wait")
            yield Edge(waiting, here, "released")
        yield Edge(here, f"topic:{dead_letters_name(service)}", "parked")

    @property
    def of_rows(self) -> bool:
        """Whether it makes rows with its source's key: a deletion, or a row without a result, deletes the result."""
        source, into = events_of(self.source), self.into
        rows = isinstance(source, OwnerTopic) and isinstance(into, OwnerTopic)
        return rows and (source.key, source.key_type) == (into.key, into.key_type)

    @property
    def gathers(self) -> bool:
        """Whether results of one key come from several partitions, so that the newest must be determined."""
        return isinstance(self.source, Rekeyed) and self.source.moves

    @property
    def placed(self) -> bool:
        """Whether records must be in the partition of their key; events that use only global tables need not be.

        The next revision of a waiting row must arrive in the same partition.
        """
        if any(lookup.table.held == "partition" for lookup in self.lookups):
            return True
        return self.wait is not None and isinstance(events_of(self.source), OwnerTopic)

    @property
    def wait(self) -> Wait | None:
        """The wait for a partner; None if records do not wait."""
        return next((step for step in self.missing if isinstance(step, Wait)), None)

    @property
    def settle(self) -> Terminal:
        """The last step for a record without a partner."""
        return next(step for step in self.missing if isinstance(step, Terminal))

    def __call__(self, function: Function) -> Function:
        """Make the results with a pure function; this is the decorator form of `join`."""
        self.function = function
        return function
