"""Reactions to changes of a table as values.

Nothing is checked where it is declared, so that all mistakes can be reported together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from larder.declaring.checks.kinds import reaction_kind_problems
from larder.declaring.checks.reactions import reaction_problems
from larder.declaring.facts import Facts
from larder.declaring.operators import Edge, Operator, Topic, node
from larder.declaring.problems import Problem
from larder.declaring.sources import TableUse
from larder.declaring.topics import EventTopic

if TYPE_CHECKING:
    from larder.declaring.service import Service

Function = TypeVar("Function", bound=Callable[..., Any])


class Unknown(Enum):
    """In the place of a row that nobody can tell any more."""

    UNKNOWN = "unknown"


UNKNOWN: Final = Unknown.UNKNOWN

Old: TypeAlias = bytes | Unknown | None


def counted_reactions(table: str) -> str:
    """Give the id under which the reactions to a table are counted."""
    return f"reactions:{table}"


@dataclass(eq=False)
class Reaction(Operator):
    """A function over the changes of a table; what it gives goes `into` topics."""

    table: TableUse
    into: tuple[EventTopic, ...] = ()
    function: Callable[..., Any] | None = field(default=None)

    kind = "agent"  # in the topology, where both are functions that may do anything
    listed_as = "reactions"

    @property
    def name(self) -> str:
        """The name of a reaction is that of its function."""
        return getattr(self.function, "__name__", repr(self.function))

    @property
    def counted_as(self) -> str:
        """All reactions to a table count together."""
        return counted_reactions(self.table.name)

    def summary(self) -> dict[str, Any]:
        """Name its table."""
        return {"table": self.table.name}

    def uses(self) -> Sequence[TableUse]:
        """Give its table."""
        return (self.table,)

    def writes(self) -> Sequence[Topic]:
        """Give the topics of what it emits."""
        return self.into

    def kind_problems(self, service: Service) -> Iterator[Problem]:
        """Find what it was given that is of another kind."""
        return reaction_kind_problems(service, self)

    def problems(self, service: Service, facts: Facts) -> Iterator[Problem]:
        """Find all else that is wrong with it."""
        return reaction_problems(service, self)

    def edges(self, service: str) -> Iterator[Edge]:
        """Draw changes, and what comes of them."""
        yield Edge(f"table:{self.table.name}", node(self), "changes")
        for topic in self.into:
            yield Edge(node(self), f"topic:{topic.name}")

    def __call__(self, function: Function) -> Function:
        """Take the function; the decorator form is the only one."""
        self.function = function
        return function
