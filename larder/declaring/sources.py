"""What operators read: sources of records, and tables in which rows are looked up. Values only."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from larder.declaring.rows import Row
from larder.declaring.topics import EventTopic, OwnerTopic, Rekeyed

Held: TypeAlias = Literal["global", "partition"]
Source: TypeAlias = EventTopic | OwnerTopic | Rekeyed


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


def several(given: Any) -> tuple[Any, ...]:
    """Give what was declared as a tuple, also a single one."""
    if isinstance(given, Row):
        return (given,)
    return tuple(given) if isinstance(given, Iterable) and not isinstance(given, str) else (given,)
