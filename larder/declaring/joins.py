"""Joins as values: a source, the rows looked up for it, where the result goes.

Frozen but for the function that a decorator adds. Nothing is checked here, so that
all mistakes can be reported together (`larder.declaring.checks.declarations`).
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, TypeVar

from larder.declaring.missing import Step, Terminal, Wait
from larder.declaring.topics import EventTopic, OwnerTopic, Rekeyed

Held: TypeAlias = Literal["global", "partition"]
Source: TypeAlias = EventTopic | OwnerTopic | Rekeyed
Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class TableUse:
    """A table as one service holds it: whole ("global") or by "partition".

    `service` is the name of the service that declared it.
    """

    service: str
    topic: OwnerTopic
    held: Held

    @property
    def name(self) -> str:
        """The name of the table is that of its topic."""
        return self.topic.name

    def on(self, field: str, embed: str | None = None) -> "Lookup":
        """Look a row up by a field of the order, which holds the table's key.

        field   of the source's row type; its type must be that of the table's key. An
                order with null in it has no partner.
        embed   the name under which the row goes into the result; left out, that of
                the row type in small letters (`OrderItem` becomes `order_item`).

        >>> customers.on("buyer_id", embed="buyer")
        """
        return Lookup(self, field, embed)


@dataclass(frozen=True)
class Lookup:
    """One row for each order: `field` of the order is the key in `table`.

    `implied`: nobody wrote `.on`; the field is what the source is partitioned by.
    """

    table: TableUse
    field: str
    given_name: str | None
    implied: bool = False

    @property
    def embed(self) -> str:
        """The name under which the row goes into the result."""
        return self.given_name or _snake_case(self.table.topic.row.__name__)


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


def lookups(
    source: Source,
    tables: TableUse | Lookup | Sequence[TableUse | Lookup],
) -> tuple[Lookup, ...]:
    """Give the lookups that were declared, each with its field.

    A co-partitioned table that came without `.on` is looked up by what the source is
    partitioned by. A global one has no such field: it stays empty, for the checks. What
    is no table stays as it is, for the checks too.
    """
    several = tuple(tables) if isinstance(tables, Iterable) else (tables,)
    return tuple(
        Lookup(use, _implied_field(source, use), None, implied=True) if isinstance(use, TableUse) else use
        for use in several
    )


def partitioned_by(source: Source) -> str:
    """Give the field whose value decides the partition of a source's records."""
    return source.field if isinstance(source, Rekeyed) else source.key


def events_of(source: Source) -> EventTopic | OwnerTopic:
    """Give the declared topic that the records of a source come from."""
    return source.source if isinstance(source, Rekeyed) else source


def _implied_field(source: Source, use: TableUse) -> str:
    return partitioned_by(source) if use.held == "partition" and isinstance(source, Source) else ""


def _snake_case(name: str) -> str:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return words.lower()
