"""The input of a contestant: a JSON object as its first argument, with plain values for programs of any language."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

Guarantee = Literal["at_least_once", "exactly_once"]


class Job(NamedTuple):
    """A join, or a table to restore (then `source` and `into` are empty).

    name       of the attempt, also for the consumer group, the application id and the like.
    directory  for the contestant's data on disk; empty, and not shared.
    table      compacted topic of rows; source, topic of orders; into, topic of the results.
    rows       the number of rows in `table`.
    field      of an order: the key of its row. embed: the field of the result that contains the row.
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
