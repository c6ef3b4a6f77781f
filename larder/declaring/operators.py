"""The contract of operators: what each kind of declaration says of itself, so that nothing else spells kinds out.

An operator is inert: it says what it reads, uses, writes and keeps, what is wrong with it, and how it is drawn.
Topics, checks, partition counts and the topology loop over the operators of a service.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

from larder.declaring.sources import Source, TableUse
from larder.declaring.topics import EventTopic, OwnerTopic, Rekeyed

if TYPE_CHECKING:
    from larder.declaring.facts import Facts
    from larder.declaring.in_memory.run import MemoryRun
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


class Operator(Protocol):
    """What is declared on a service, to be done with records."""

    @property
    def kind(self) -> str:
        """In one word: ids of nodes begin with it."""

    @property
    def name(self) -> str:
        """Unlike that of any other operator of its kind in the service."""

    @property
    def reads_as(self) -> Role:
        """What the topics are to the service that it reads: sources, whose dead letters are replayed, or its own."""

    @property
    def reads_near(self) -> bool:
        """Whether it may read rows of any table of its service."""

    @property
    def goes_on_with_its_own(self) -> bool:
        """Whether it takes, in one run in memory, what it writes to a topic that it reads."""

    def reads(self) -> Sequence[Source]:
        """What its records come from."""

    def uses(self) -> Sequence[TableUse]:
        """The tables whose rows it has beside a record."""

    def writes(self) -> Sequence[Topic]:
        """The declared topics that it writes."""

    def meets(self) -> Iterator[tuple[Source, Topic]]:
        """Each source with a table that its records meet by partition: both need equally many."""

    def keeps(self, service: str) -> Iterator[KeptTopic]:
        """What the service of that name keeps for it."""

    def kind_problems(self, service: Service) -> Iterator[Problem]:
        """What it was given that is of another kind than its place requires; the rest is then not asked for."""

    def problems(self, service: Service, facts: Facts) -> Iterator[Problem]:
        """All else that is wrong with it."""

    def run_in_memory(self, run: MemoryRun) -> None:
        """Take the records of a run, after all that write what it reads."""

    def edges(self, service: str) -> Iterator[Edge]:
        """How it is drawn in the topology of the service of that name."""


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
