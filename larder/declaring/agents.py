"""Agents as values: users' functions over the batches of a topic."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from larder.declaring.checks.agents import agent_problems
from larder.declaring.checks.kinds import agent_kind_problems
from larder.declaring.facts import Facts
from larder.declaring.operators import Operator, Role
from larder.declaring.problems import Problem
from larder.declaring.sources import Source
from larder.declaring.topics import EventTopic, OwnerTopic

if TYPE_CHECKING:
    from larder.declaring.service import Service

AgentFunction: TypeAlias = Callable[[AsyncIterator[Any]], Awaitable[None]]


@dataclass(frozen=True)
class AgentDeclaration(Operator):
    """An async function over the batches of one topic."""

    topic: EventTopic | OwnerTopic
    function: AgentFunction

    kind = "agent"
    listed_as = "agents"
    reads_as = Role.AGENT

    @property
    def name(self) -> str:
        """The name of its function."""
        return getattr(self.function, "__name__", repr(self.function))

    def summary(self) -> dict[str, Any]:
        """Return its name and its topic."""
        return {"name": self.name, "topic": self.topic.name}

    def outline(self) -> dict[str, Any]:
        """Return its name and its topic."""
        return {"agent": self.name, "topic": self.topic.name}

    def sentence(self) -> str:
        """Describe in one line which topic's batches it handles."""
        return f"agent {self.name} over {self.topic.name}"

    def reads(self) -> Sequence[Source]:
        """Return its topic."""
        return (self.topic,)

    def kind_problems(self, service: Service) -> Iterator[Problem]:
        """Find arguments of the wrong kind."""
        return agent_kind_problems(self)

    def problems(self, service: Service, facts: Facts) -> Iterator[Problem]:
        """Find all other problems."""
        return agent_problems(service, self)
