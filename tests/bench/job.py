"""What a contestant is told: one JSON object as its first argument. Plain values, read by programs of any language."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

Guarantee = Literal["at_least_once", "exactly_once"]


class Job(NamedTuple):
    """A join to be done, or a table to be restored (then `source` and `into` are empty).

    name       of the attempt: consumer group, application id and the like are to be called so.
    directory  for what the contestant keeps on disk; its own, and empty.
    table      compacted topic of rows; source, topic of orders; into, topic of the results.
    rows       how many rows `table` has.
    field      of an order: the key of its row. embed: the name under which the row is put into the order.
    """

    name: str
    brokers: str
    directory: str
    table: str
    rows: int
    source: str = ""
    into: str = ""
    field: str = "customer_id"
    embed: str = "customer"

    @property
    def path(self) -> Path:
        """The directory."""
        return Path(self.directory)
