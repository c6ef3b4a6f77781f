"""The words in which a function answers what is to become of an event, and those that it is given.

Plain values. What they do is done where records are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol, TypeAlias

import msgspec

from larder.declaring.rows import Row
from larder.declaring.sources import TableUse


@dataclass(frozen=True)
class Delete:
    """In the rows of a decision: the row of this key is deleted."""

    key: Any


@dataclass(frozen=True)
class Wake:
    """In a decision: call the function again for the row of `key`, at a time that has a zone.

    In UTC that time lies in the years 1 to 9999.

    A key has one wake-up; a later one takes its place. It survives crashes and moves, and
    comes at its time or after it, never before.
    """

    key: Any
    at: datetime


LATEST: Final = 253_402_300_800.0
"""The end of the year 9999, in seconds since the epoch: no time that can be lies there, or later."""


def as_utc(at: float) -> datetime:
    """Give seconds since the epoch as a time in UTC; ValueError for what lies outside the years 1 to 9999."""
    try:
        return datetime.fromtimestamp(at, UTC)
    except (ValueError, OverflowError, OSError) as error:
        message = f"a wake-up requires a time in the years 1 to 9999 in UTC; found {at} seconds since 1970"
        raise ValueError(message) from error


@dataclass(frozen=True)
class WakeUp:
    """The event that a `Wake` comes back as."""

    key: Any
    at: datetime


class Decision(msgspec.Struct, frozen=True):
    """What becomes of an event, all of it or none.

    rows    new rows of the state, or `Delete(key)`. Their keys belong to the partition of
            the event. Their revision is set when they are written: whatever it says here.
    emit    events, each for the topic of `into` that has its row type, under any key.
    refuse  why the event is refused, for a person to read. It is recorded as an event in
            `<service>.refusals`; no row is changed and no wake-up set then.
    wake    when the function is to be called again.

    Each may be a single one or several. A decision without anything is one, too.

    >>> Decision(rows=level, emit=[Reserved(order_id="o1", product_id="p1")])
    """

    rows: "Sequence[Row | Delete] | Row | Delete" = ()
    emit: Sequence[Row] | Row = ()
    refuse: str | None = None
    wake: Sequence[Wake] | Wake = ()


class Near(Protocol):
    """Rows that lie in the same partition as the event, and those of global tables."""

    def get(self, table: TableUse, key: Any) -> Any:
        """Give the row of a key, with what was decided before; None when there is none.

        ValueError for a key of another partition, and for a table of another service.
        """


def refusals_name(service: str) -> str:
    """Name the topic of what the decides of a service refused."""
    return f"{service}.refusals"


class Refusal(Row):
    """An event that was refused, as `<service>.refusals` has it.

    id      where the event lies: topic/partition/offset, or that of a wake-up.
    state   the table that would have changed.
    key     of its row, as text.
    reason  what the function said.
    event   the event as it came; null for a wake-up.
    """

    id: str
    state: str
    key: str
    reason: str
    event: Any


Event: TypeAlias = Row | WakeUp
