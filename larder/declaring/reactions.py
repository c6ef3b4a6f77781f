"""Reactions to changes of a table, as values.

Declaring a reaction checks nothing, so that the checks can report all mistakes together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from larder.declaring.checks.kinds import reaction_kind_problems
from larder.declaring.checks.reactions import reaction_problems
from larder.declaring.facts import Facts
from larder.declaring.operators import Edge, Operator, Topic, names, node
from larder.declaring.problems import Problem
from larder.declaring.sources import Source, TableUse
from larder.declaring.topics import EventTopic

if TYPE_CHECKING:
    from larder.declaring.service import Service

Function = TypeVar("Function", bound=Callable[..., Any])


class Unknown(Enum):
    """Stands for an old row that is no longer known."""

    UNKNOWN = "unknown"


UNKNOWN: Final = Unknown.UNKNOWN

Old: TypeAlias = bytes | Unknown | None


def counted_reactions(table: str) -> str:
    """Return the id under which all reactions to a table are counted together."""
    return f"reactions:{table}"


@dataclass(eq=False)
class Reaction(Operator):
    """A function over the changes of a table; its events go to the topics in `into`."""

    table: TableUse
    into: tuple[EventTopic, ...] = ()
    function: Callable[..., Any] | None = field(default=None)

    kind = "agent"  # in the topology: both are functions that may do anything
    listed_as = "reactions"

    @property
    def name(self) -> str:
        """The name of its function."""
        return getattr(self.function, "__name__", repr(self.function))

    @property
    def counted_as(self) -> str:
        """The id under which all reactions to its table are counted together."""
        return counted_reactions(self.table.name)

    def summary(self) -> dict[str, Any]:
        """Return its table."""
        return {"table": self.table.name}

    def outline(self) -> dict[str, Any]:
        """Return its table, and the topics of its events."""
        return {**self.summary(), "into": names(self.into)}

    def sentence(self) -> str:
        """Describe in one line what it reacts to."""
        into = f" into {', '.join(names(self.into))}" if self.into else ""
        return f"reacts to changes of {self.table.name}{into}"

    def uses(self) -> Sequence[TableUse]:
        """Return its table."""
        return (self.table,)

    def writes(self) -> Sequence[Topic]:
        """Return the topics of its events."""
        return self.into

    def placed_by(self, source: Callable[[Source], Source], table: Callable[[TableUse], TableUse]) -> Reaction:
        """Replace its table."""
        return replace(self, table=table(self.table))

    def kind_problems(self, service: Service) -> Iterator[Problem]:
        """Find arguments of the wrong kind."""
        return reaction_kind_problems(service, self)

    def problems(self, service: Service, facts: Facts) -> Iterator[Problem]:
        """Find all other problems."""
        return reaction_problems(service, self)

    def edges(self, service: str) -> Iterator[Edge]:
        """Yield the edges of the changes and of its events."""
        yield Edge(f"table:{self.table.name}", node(self), "changes")
        for topic in self.into:
            yield Edge(node(self), f"topic:{topic.name}")

    def __call__(self, function: Function) -> Function:
        """Set the function, as a decorator; there is no other form."""
        self.function = function
        return function
