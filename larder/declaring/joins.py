"""Joins as values: a source, the rows looked up for it, where the result goes.

Frozen but for the function that a decorator adds. Nothing is checked here, so that
all mistakes can be reported together (`larder.declaring.checks.declarations`).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from larder.declaring.missing import Step, Terminal, Wait
from larder.declaring.sources import Lookup, Source, events_of
from larder.declaring.topics import EventTopic, OwnerTopic, Rekeyed

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(eq=False)
class Join:
    """Orders of `source`, each with its rows, going `into` a topic.

    `lookups` are in the order in which they were declared, and so are the rows that
    a function gets. `missing` is the chain of steps for an order that lacks a row.
    """

    source: Source
    lookups: tuple[Lookup, ...]
    into: EventTopic | OwnerTopic
    missing: tuple[Step, ...]
    function: Callable[..., Any] | None = field(default=None)

    @property
    def name(self) -> str:
        """The name of a join is that of the topic it fills."""
        return self.into.name

    @property
    def of_rows(self) -> bool:
        """Whether rows are joined into rows of their key: a deletion, or a row without a result, deletes the result."""
        source, into = events_of(self.source), self.into
        rows = isinstance(source, OwnerTopic) and isinstance(into, OwnerTopic)
        return rows and (source.key, source.key_type) == (into.key, into.key_type)

    @property
    def gathers(self) -> bool:
        """Whether results of one key come from several partitions, so that the newest has to be found."""
        return isinstance(self.source, Rekeyed) and self.source.of_rows

    @property
    def placed(self) -> bool:
        """Whether it matters in which partition a record lies: events that meet global tables may lie in any.

        A row that waits has to be met by its next revision.
        """
        if any(lookup.table.held == "partition" for lookup in self.lookups):
            return True
        return self.wait is not None and isinstance(events_of(self.source), OwnerTopic)

    @property
    def wait(self) -> Wait | None:
        """How long orders wait for their partner, if they do."""
        return next((step for step in self.missing if isinstance(step, Wait)), None)

    @property
    def settle(self) -> Terminal:
        """What becomes of an order without partner in the end."""
        return next(step for step in self.missing if isinstance(step, Terminal))

    def __call__(self, function: Function) -> Function:
        """Make the result with a pure function; the decorator form of `join`."""
        self.function = function
        return function
