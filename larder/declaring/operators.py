"""The contract of operators: what each kind of declaration says of itself, so that nothing else spells kinds out.

An operator is inert: it says what it reads, uses, writes and keeps, what is wrong with it, and how it is drawn.
Topics, checks, partition counts and the topology loop over the operators of a service.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple, TypeAlias

from larder.declaring.sources import Source, TableUse
from larder.declaring.topics import EventTopic, OwnerTopic, Rekeyed

if TYPE_CHECKING:
    from larder.declaring.facts import Facts
    from larder.declaring.problems import Problem
    from larder.declaring.service import Service

Topic: TypeAlias = EventTopic | OwnerTopic


class Role(Enum):
    """What a service does with a topic."""

    TABLE = "table"
    SOURCE = "source"
    AGENT = "agent"
    OUTPUT = "output"
    REKEYED = "rekeyed"
    KEYS = "keys of rekeyed rows"
    JOINED = "results of rekeyed rows"
    REPLAYS = "replays of dead letters"
    WAITING = "waiting"
    WAKE_UPS = "wake-ups"
    REFUSALS = "refusals"
    DEAD_LETTERS = "dead letters"


LISTS: Final = ("joins", "decides", "reactions", "agents", "operators")
"""The lists of operators in answers, in their order; the last one has all kinds without a list of their own."""


class KeptTopic(NamedTuple):
    """A topic that the service keeps for an operator, under a name of its own.

    like       what it has as many partitions as; None for what people are to see.
    compacted  it has rows; what is no row stays until it was processed.
    """

    name: str
    role: Role
    like: Source | None
    compacted: bool


class Edge(NamedTuple):
    """A line of the topology, between the ids of two nodes."""

    source: str
    to: str
    label: str = ""


class Operator:
    """What is declared on a service, to be done with records. A kind says of itself what differs from this one."""

    kind: ClassVar[str]
    """In one word: ids of nodes begin with it."""

    reads_as: ClassVar[Role] = Role.SOURCE
    """What the topics are to the service that it reads: sources, whose dead letters are replayed, or its own."""

    listed_as: ClassVar[str] = "operators"
    """The list in which answers have it: one of `LISTS`."""

    lets_wait: ClassVar[bool] = False
    """Whether its records may wait for rows."""

    goes_on_with_its_own: ClassVar[bool] = False
    """Whether it takes, in one run in memory, what it writes to a topic that it reads."""

    @property
    def name(self) -> str:
        """Unlike that of any other operator of its kind in the service."""
        raise NotImplementedError

    @property
    def counted_as(self) -> str:
        """The id under which its records are counted: that of its node, unless several count together."""
        return node(self)

    def summary(self) -> dict[str, Any]:
        """Say which operator it is, as answers do beside its counts."""
        return {"kind": self.kind, "name": self.name}

    @property
    def reads_near(self) -> bool:
        """Whether it may read rows of any table of its service."""
        return False

    def reads(self) -> Sequence[Source]:
        """Give what its records come from."""
        return ()

    def uses(self) -> Sequence[TableUse]:
        """Give the tables whose rows it has beside a record."""
        return ()

    def writes(self) -> Sequence[Topic]:
        """Give the declared topics that it writes."""
        return ()

    def meets(self) -> Iterable[tuple[Source, Topic]]:
        """Give each source with a table that its records meet by partition: both need equally many."""
        return ()

    def keeps(self, service: str) -> Iterable[KeptTopic]:
        """Give what the service of that name keeps for it."""
        return ()

    def kind_problems(self, service: Service) -> Iterable[Problem]:
        """Find what it was given that is of another kind than its place requires; the rest is then not asked for."""
        return ()

    def problems(self, service: Service, facts: Facts) -> Iterable[Problem]:
        """Find all else that is wrong with it."""
        return ()

    def edges(self, service: str) -> Iterable[Edge]:
        """Draw it in the topology of the service of that name: what it reads, uses and writes."""
        here = node(self)
        for source in self.reads():
            yield from source_edges(service, source, here)
        for table in self.uses():
            yield Edge(f"table:{table.name}", here)
        for topic in self.writes():
            yield Edge(here, f"topic:{topic.name}")


def node(operator: Operator) -> str:
    """Give the id of an operator in the topology."""
    return f"{operator.kind}:{operator.name}"


def source_edges(service: str, source: Source, to: str) -> Iterator[Edge]:
    """Draw how the records of a source come to a node."""
    if not isinstance(source, Rekeyed):
        yield Edge(f"topic:{source.name}", to)
        return
    read = f"topic:{source.name_in(service)}"
    yield Edge(f"topic:{source.source.name}", read, f"by {source.field}")
    yield Edge(read, to)
