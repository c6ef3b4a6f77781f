"""Agents as values: functions of users over the batches of a topic."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from larder.declaring.checks.agents import agent_problems
from larder.declaring.checks.kinds import agent_kind_problems
from larder.declaring.facts import Facts
from larder.declaring.operators import Edge, KeptTopic, Role, Topic, node
from larder.declaring.problems import Problem
from larder.declaring.sources import Source, TableUse
from larder.declaring.topics import EventTopic, OwnerTopic

if TYPE_CHECKING:
    from larder.declaring.in_memory.run import MemoryRun
    from larder.declaring.service import Service

AgentFunction: TypeAlias = Callable[[AsyncIterator[Any]], Awaitable[None]]


@dataclass(frozen=True)
class AgentDeclaration:
    """An async function over the batches of one topic."""

    topic: EventTopic | OwnerTopic
    function: AgentFunction

    kind = "agent"
    reads_as = Role.AGENT
    reads_near = False
    goes_on_with_its_own = False

    @property
    def name(self) -> str:
        """The name of an agent is that of its function."""
        return getattr(self.function, "__name__", repr(self.function))

    def reads(self) -> Sequence[Source]:
        """Give its topic."""
        return (self.topic,)

    def uses(self) -> Sequence[TableUse]:
        """Give nothing."""
        return ()

    def writes(self) -> Sequence[Topic]:
        """Give nothing that is known: it may do anything."""
        return ()

    def meets(self) -> Iterator[tuple[Source, Topic]]:
        """Give nothing."""
        return iter(())

    def keeps(self, service: str) -> Iterator[KeptTopic]:  # noqa: ARG002 - as all operators
        """Give nothing."""
        return iter(())

    def kind_problems(self, service: Service) -> Iterator[Problem]:  # noqa: ARG002 - as all operators
        """Find what it was given that is of another kind."""
        return agent_kind_problems(self)

    def problems(self, service: Service, facts: Facts) -> Iterator[Problem]:  # noqa: ARG002 - as all operators
        """Find all else that is wrong with it."""
        return agent_problems(service, self)

    def run_in_memory(self, run: MemoryRun) -> None:
        """Do nothing: it may do anything."""

    def edges(self, service: str) -> Iterator[Edge]:  # noqa: ARG002 - as all operators
        """Draw what it takes."""
        yield Edge(f"topic:{self.topic.name}", node(self))
