"""The contract of operators: what each kind of declaration reports about itself.

An operator is inert: it reports what it reads, uses, writes and keeps, its problems, and its edges in the topology.
Topics, checks, partition counts and the topology loop over the operators of a service, and know no kinds.
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
"""The lists of operators in answers, in order; the last one has all kinds without a list of their own."""


class KeptTopic(NamedTuple):
    """A topic that the service keeps for an operator, under a name of its own.

    like       the topic whose number of partitions it takes; None for topics that people read.
    compacted  it has rows; other records stay until they were processed.
    """

    name: str
    role: Role
    like: Source | None
    compacted: bool


class Passage(NamedTuple):
    """Where records of a topic go whose size is known beforehand.

    growth  how many times as large they are there.
    rows    tables of which each record has a row in it.
    """

    source: str
    into: str
    growth: float = 1
    rows: tuple[str, ...] = ()


class Edge(NamedTuple):
    """A line of the topology, between the ids of two nodes."""

    source: str
    to: str
    label: str = ""


class Operator:
    """What a service does with records. Each kind overrides what differs from these defaults."""

    kind: ClassVar[str]
    """One word, with which the ids of its nodes begin."""

    reads_as: ClassVar[Role] = Role.SOURCE
    """The role of the topics that it reads: sources, whose dead letters can be replayed, or internal topics."""

    listed_as: ClassVar[str] = "operators"
    """Its list in answers, one of `LISTS`."""

    lets_wait: ClassVar[bool] = False
    """Whether its records may wait for rows."""

    goes_on_with_its_own: ClassVar[bool] = False
    """Whether a run in memory feeds it what it writes to a topic that it reads."""

    @property
    def name(self) -> str:
        """Unique among the operators of its kind in the service."""
        raise NotImplementedError

    @property
    def counted_as(self) -> str:
        """The id under which its records are counted: that of its node, unless several operators share one."""
        return node(self)

    def summary(self) -> dict[str, Any]:
        """Describe it, for answers with its counts."""
        return {"kind": self.kind, "name": self.name}

    def outline(self) -> dict[str, Any]:
        """Give what was declared, as `larder services` lists it."""
        return {
            **self.summary(),
            "reads": names(self.reads()),
            "uses": names(self.uses()),
            "into": names(self.writes()),
        }

    def sentence(self) -> str:
        """Say the same to people in one line, which begins with a word for the kind."""
        tables, into = ", ".join(names(self.uses())), ", ".join(names(self.writes()))
        parts = [self.kind, ", ".join(names(self.reads())), tables and f"with {tables}", into and f"into {into}"]
        return " ".join(filter(None, parts))

    @property
    def placed(self) -> bool:
        """Whether it matters in which partition a record lies."""
        return True

    @property
    def reads_near(self) -> bool:
        """Whether it may read rows of all tables of its service."""
        return False

    def reads(self) -> Sequence[Source]:
        """Give the sources of its records."""
        return ()

    def uses(self) -> Sequence[TableUse]:
        """Give the tables whose rows it uses."""
        return ()

    def writes(self) -> Sequence[Topic]:
        """Give the declared topics that it writes."""
        return ()

    def meets(self) -> Iterable[tuple[Source, Topic]]:
        """Give the pairs of a source and a table that meet by partition, and need equally many partitions."""
        return ()

    def keeps(self, service: str) -> Iterable[KeptTopic]:
        """Give the topics that the service of that name keeps for it."""
        return ()

    def passages(self, service: str) -> Iterable[Passage]:
        """Give where its records go in the service of that name; what a function makes of them has any size."""
        return ()

    def kind_problems(self, service: Service) -> Iterable[Problem]:
        """Find arguments of the wrong kind; if there are any, `problems` is not called."""
        return ()

    def problems(self, service: Service, facts: Facts) -> Iterable[Problem]:
        """Find all other problems."""
        return ()

    def edges(self, service: str) -> Iterable[Edge]:
        """Draw what it reads, uses and writes in the topology of the service of that name."""
        here = node(self)
        for source in self.reads():
            yield from source_edges(service, source, here)
        for table in self.uses():
            yield Edge(f"table:{table.name}", here)
        for topic in self.writes():
            yield Edge(here, f"topic:{topic.name}")


def names(declared: Iterable[Source | TableUse | Topic]) -> list[str]:
    """Name what was declared."""
    return [each.name for each in declared]


def node(operator: Operator) -> str:
    """Give the id of an operator in the topology."""
    return f"{operator.kind}:{operator.name}"


def source_edges(service: str, source: Source, to: str) -> Iterator[Edge]:
    """Draw the way of the records of a source to a node."""
    if not isinstance(source, Rekeyed):
        yield Edge(f"topic:{source.name}", to)
        return
    read = f"topic:{source.name_in(service)}"
    yield Edge(f"topic:{source.source.name}", read, f"by {source.field}")
    yield Edge(read, to)
