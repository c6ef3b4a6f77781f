"""The contract of operators: what each kind of declaration reports about itself.

An operator does nothing itself. It reports what it reads, uses, writes and keeps, its problems, and its edges in the
topology. Topics, checks, partition counts and the topology are derived from a service's operators in one loop, which
does not know their kinds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple, TypeAlias

from larder.declaring.sources import RemoteTable, Source, TableUse
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
    MIRROR = "mirror"
    ROWS = "rows of a state"
    KEYS = "keys of rekeyed rows"
    JOINED = "results of rekeyed rows"
    REPLAYS = "replays of dead letters"
    WAITING = "waiting"
    WAKE_UPS = "wake-ups"
    REQUESTS = "requests that count once"
    CALLS = "calls that are not done"
    OUTCOMES = "outcomes of calls"
    REFUSALS = "refusals"
    DEAD_LETTERS = "dead letters"
    GROWTH = "generations"


LISTS: Final = ("joins", "decides", "reactions", "agents", "operators")
"""The lists of operators in responses, in order; the last has all kinds without their own list."""


REMOTE_TABLE: Final = "remote table"
"""The kind of a node of the topology: a table that is read from the workers of its service."""


class KeptTopic(NamedTuple):
    """An internal topic that a service keeps for an operator.

    like       the topic whose number of partitions it takes; None for topics that people read.
    compacted  whether it holds rows; other records stay until they are processed.
    """

    name: str
    role: Role
    like: Source | None
    compacted: bool


class Passage(NamedTuple):
    """A topic into which records of another topic go, if their size there is known beforehand.

    growth  how many times larger the records are there.
    rows    the tables of which each record there contains a row.
    """

    source: str
    into: str
    growth: float = 1
    rows: tuple[str, ...] = ()


class Edge(NamedTuple):
    """An edge of the topology, between the ids of two nodes."""

    source: str
    to: str
    label: str = ""


class Operator:
    """One thing that a service does with records. Each kind overrides the defaults that do not fit."""

    kind: ClassVar[str]
    """One word; the ids of its nodes begin with it."""

    reads_as: ClassVar[Role] = Role.SOURCE
    """The role of the topics that it reads: sources, whose dead letters can be replayed, or internal topics."""

    listed_as: ClassVar[str] = "operators"
    """Its list in responses, one of `LISTS`."""

    lets_wait: ClassVar[bool] = False
    """Whether its records may wait for rows."""

    goes_on_with_its_own: ClassVar[bool] = False
    """Whether a run in memory feeds it the records that it writes to a topic that it also reads."""

    @property
    def name(self) -> str:
        """Its name, unique among the service's operators of its kind."""
        raise NotImplementedError

    @property
    def step(self) -> str:
        """Its name in dead letters."""
        return f"{self.kind} {self.name}"

    @property
    def counted_as(self) -> str:
        """The id under which its records are counted: its node's, unless several operators share one."""
        return node(self)

    def summary(self) -> dict[str, Any]:
        """Return a short description, for responses with its counts."""
        return {"kind": self.kind, "name": self.name}

    def outline(self) -> dict[str, Any]:
        """Return its declaration, as `larder services` lists it."""
        return {
            **self.summary(),
            "reads": names(self.reads()),
            "uses": names(self.uses()),
            "into": names(self.writes()),
        }

    def sentence(self) -> str:
        """Return the same as one line for people, which begins with a word for the kind."""
        tables, into = ", ".join(names(self.uses())), ", ".join(names(self.writes()))
        parts = [self.kind, ", ".join(names(self.reads())), tables and f"with {tables}", into and f"into {into}"]
        return " ".join(filter(None, parts))

    @property
    def placed(self) -> bool:
        """Whether it matters in which partition a record is."""
        return True

    @property
    def reads_near(self) -> bool:
        """Whether it may read rows of all tables of its service."""
        return False

    def reads(self) -> Sequence[Source]:
        """Return the sources of its records."""
        return ()

    def uses(self) -> Sequence[TableUse]:
        """Return the tables whose rows it uses."""
        return ()

    def asks(self) -> Sequence[RemoteTable]:
        """Return the tables whose rows it reads from the workers of their services."""
        return ()

    def writes(self) -> Sequence[Topic]:
        """Return the declared topics that it writes to."""
        return ()

    def meets(self) -> Iterable[tuple[Source, Source]]:
        """Return the pairs of a source and a table that are co-partitioned, and so need equal partition counts.

        What has to lie beside a source, and meets nothing else, makes the source meet itself.
        """
        return ()

    def placed_by(self, source: Callable[[Source], Source], table: Callable[[TableUse], TableUse]) -> Operator:
        """Return the operator with the sources and tables from which workers read what meets by partition."""
        return self

    def keeps(self, service: str) -> Iterable[KeptTopic]:
        """Return the topics that the service of that name keeps for it."""
        return ()

    def passages(self, service: str) -> Iterable[Passage]:
        """Return the passages of its records in the service of that name; results of a function may have any size."""
        return ()

    def kind_problems(self, service: Service) -> Iterable[Problem]:
        """Find arguments of the wrong kind; if there are any, `problems` is not called."""
        return ()

    def problems(self, service: Service, facts: Facts) -> Iterable[Problem]:
        """Find all other problems."""
        return ()

    def edges(self, service: str) -> Iterable[Edge]:
        """Yield the edges of what it reads, uses and writes in the topology of the service of that name."""
        here = node(self)
        for source in self.reads():
            yield from source_edges(service, source, here)
        for table in self.uses():
            yield Edge(f"table:{table.name}", here)
        for topic in self.writes():
            yield Edge(here, f"topic:{topic.name}")


def remote_node(remote: RemoteTable) -> str:
    """Return the id of the node of a table that is read from the workers of its service."""
    return f"{REMOTE_TABLE}:{remote.name}"


def names(declared: Iterable[Source | TableUse | RemoteTable | Topic]) -> list[str]:
    """Return the names of declarations."""
    return [each.name for each in declared]


def node(operator: Operator) -> str:
    """Return the id of an operator's node in the topology."""
    return f"{operator.kind}:{operator.name}"


def source_edges(service: str, source: Source, to: str) -> Iterator[Edge]:
    """Yield the edges along which a source's records reach a node."""
    if not isinstance(source, Rekeyed):
        yield Edge(f"topic:{source.name}", to)
        return
    read = f"topic:{source.name_in(service)}"
    yield Edge(f"topic:{source.source.name}", read, f"by {source.field}")
    yield Edge(read, to)
