"""What operators read: sources of records, and tables of rows. Values only."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from larder.declaring.rows import Row
from larder.declaring.topics import EventTopic, OwnerTopic, Rekeyed

Held: TypeAlias = Literal["global", "partition"]
Source: TypeAlias = EventTopic | OwnerTopic | Rekeyed


@dataclass(frozen=True)
class TableUse:
    """A table of one service, held whole ("global") or by "partition".

    `service` is the name of the service that declares it, `context` that service's context. `build` is the internal
    topic from which workers read its rows in a `generation` of the service, if they do not read them from its own
    topic: see `larder.declaring.generations`.
    """

    service: str
    topic: OwnerTopic
    held: Held
    context: str | None = None
    build: str | None = None
    generation: int = 1

    @property
    def name(self) -> str:
        """The name of its topic."""
        return self.topic.name

    @property
    def read_from(self) -> OwnerTopic:
        """The topic from which workers read its rows."""
        return self.topic if self.build is None else replace(self.topic, name=self.build)

    @property
    def mirror(self) -> Rekeyed:
        """Its rows as the service passes them to an internal topic with another number of partitions."""
        return Rekeyed(self.topic, self.topic.key, mirrored=True, generation=self.generation)

    @property
    def mirrored(self) -> bool:
        """Whether workers read its rows from its mirror."""
        return self.build is not None and self.build == self.mirror.name_in(self.service)

    def on(self, field: str, embed: str | None = None) -> "Lookup":
        """Look up a row by the field of the record that holds the table's key.

        field   a field of the source's row type, of the same type as the table's key. A
                record in which it is null has no partner.
        embed   the name of the row in the result. By default the name of the row type in
                lower case with underscores (`OrderItem` becomes `order_item`).

        >>> customers.on("buyer_id", embed="buyer")
        """
        return Lookup(self, field, embed)

    def remote(self, *, timeout: float = 0.5) -> "RemoteTable":
        """Read rows over HTTP, in calls: in `reads` of a call of any service in the same context.

        timeout   the seconds that one read may take.

        >>> @mailing.call(letters, reads=[histories.remote(timeout=0.3)])
        ... async def send(mail: Letter, attempt: Attempt) -> None:
        ...     history = await attempt.get(histories, mail.order_id, otherwise=None)
        """
        return RemoteTable(self, timeout)


@dataclass(frozen=True)
class RemoteTable:
    """A table whose rows a call reads from the workers of its service; `timeout` is in seconds for one read."""

    table: TableUse
    timeout: float

    @property
    def name(self) -> str:
        """The name of its topic."""
        return self.table.name


@dataclass(frozen=True)
class Lookup:
    """The look-up of one row in `table` for each record, whose `field` holds the key.

    It is `implied` if it was declared without `.on`: then the field is the one that partitions the source.
    """

    table: TableUse
    field: str
    given_name: str | None
    implied: bool = False

    @property
    def embed(self) -> str:
        """The name of the row in the result."""
        return self.given_name or _snake_case(self.table.topic.row.__name__)


def lookups(
    source: Source,
    tables: TableUse | Lookup | Sequence[TableUse | Lookup],
) -> tuple[Lookup, ...]:
    """Return the declared lookups, each with its field.

    A co-partitioned table without `.on` is looked up by the field that partitions the source. For a global table
    the field stays empty, and an argument that is not a table stays as it is: the checks report both.
    """
    several = tuple(tables) if isinstance(tables, Iterable) else (tables,)
    return tuple(
        Lookup(use, _implied_field(source, use), None, implied=True) if isinstance(use, TableUse) else use
        for use in several
    )


def partitioned_by(source: Source) -> str:
    """Return the field that decides the partition of a source's records."""
    return source.field if isinstance(source, Rekeyed) else source.key


def events_of(source: Source) -> EventTopic | OwnerTopic:
    """Return the declared topic of a source's records."""
    return source.source if isinstance(source, Rekeyed) else source


def _implied_field(source: Source, use: TableUse) -> str:
    return partitioned_by(source) if use.held == "partition" and isinstance(source, Source) else ""


def _snake_case(name: str) -> str:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return words.lower()


def several(given: Any) -> tuple[Any, ...]:
    """Return one or several values as a tuple."""
    if isinstance(given, Row):
        return (given,)
    return tuple(given) if isinstance(given, Iterable) and not isinstance(given, str) else (given,)
