"""The values that a deciding function gets and returns. Other modules act on them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol, TypeAlias

import msgspec

from larder.declaring.rows import Row
from larder.declaring.sources import TableUse


@dataclass(frozen=True)
class Delete:
    """In the rows of a decision: delete the row of this key."""

    key: Any


@dataclass(frozen=True)
class Wake:
    """In a decision: call the function again for the row of `key`, at a time with a time zone.

    In UTC the time has to be in the years 1 to 9999.

    A key has one wake-up; a later one replaces it. It survives crashes and rebalances, and
    comes at its time or later, never earlier.
    """

    key: Any
    at: datetime


LATEST: Final = 253_402_300_800.0
"""The end of the year 9999 in seconds since the epoch, which all times lie before."""


def as_utc(at: float) -> datetime:
    """Convert seconds since the epoch to a time in UTC; raises ValueError outside the years 1 to 9999."""
    try:
        return datetime.fromtimestamp(at, UTC)
    except (ValueError, OverflowError, OSError) as error:
        message = f"a wake-up requires a time in the years 1 to 9999 in UTC; found {at} seconds since 1970"
        raise ValueError(message) from error


@dataclass(frozen=True)
class WakeUp:
    """The event by which a `Wake` calls the function."""

    key: Any
    at: datetime


class Decision(msgspec.Struct, frozen=True):
    """What an event leads to, all or nothing.

    rows    new rows of the state, or `Delete(key)`. Their keys belong to the partition of
            the event. Larder assigns their revisions; the values given here are ignored.
    emit    events, each for the topic of `into` that has its row type, under any key.
    refuse  why the event is refused, for people. The refusal is published as an event in
            `<service>.refusals`; rows do not change, and no wake-up is set.
    wake    when to call the function again.

    Each may be one value or several. A decision may also be empty.

    >>> Decision(rows=level, emit=[Reserved(order_id="o1", product_id="p1")])
    """

    rows: "Sequence[Row | Delete] | Row | Delete" = ()
    emit: Sequence[Row] | Row = ()
    refuse: str | None = None
    wake: Sequence[Wake] | Wake = ()


class Near(Protocol):
    """Rows in the partition of the event, and rows of global tables."""

    def get(self, table: TableUse, key: Any) -> Any:
        """Give the row of a key, with all earlier decisions; None if there is none.

        Raises ValueError for a key of another partition, and for a table of another service.
        """


def refusals_name(service: str) -> str:
    """Name the topic of the refusals of a service."""
    return f"{service}.refusals"


class Refusal(Row):
    """A refused event, in `<service>.refusals`.

    id      the coordinates of the event, or of the wake-up: topic/partition/offset.
    state   the table that would have changed.
    key     of its row, as text.
    reason  what the function gave.
    event   the original event; null for a wake-up.
    """

    id: str
    state: str
    key: str
    reason: str
    event: Any


Event: TypeAlias = Row | WakeUp
