"""The values that the function of a decide gets and returns. Other modules act on them."""

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

    In UTC, the time must be in the years 1 to 9999.

    A key has at most one wake-up: setting another replaces it. A wake-up survives crashes
    and rebalances. It comes at its time or later, never earlier.
    """

    key: Any
    at: datetime


LATEST: Final = 253_402_300_800.0
"""The end of the year 9999, in seconds since the epoch; all times are before it."""


def as_utc(at: float) -> datetime:
    """Convert seconds since the epoch to a time in UTC; raise ValueError if it is outside the years 1 to 9999."""
    try:
        return datetime.fromtimestamp(at, UTC)
    except (ValueError, OverflowError, OSError) as error:
        message = f"a wake-up requires a time in the years 1 to 9999 in UTC; found {at} seconds since 1970"
        raise ValueError(message) from error


@dataclass(frozen=True)
class WakeUp:
    """The event with which a `Wake` calls the function."""

    key: Any
    at: datetime


class Decision(msgspec.Struct, frozen=True):
    """What an event leads to, as a whole or not at all.

    rows    new rows of the state, or `Delete(key)`. Their keys must belong to the
            partition of the event. Larder assigns the revisions and ignores the values
            given here.
    emit    events. Each goes to the topic of `into` that has its row type, under any key.
    refuse  why the event is refused, as text for people. The refusal becomes an event in
            `<service>.refusals`. A refused event changes no row and sets no wake-up.
    wake    when to call the function again.

    `rows`, `emit` and `wake` take one value or several. A decision may also be empty.

    >>> Decision(rows=level, emit=[Reserved(order_id="o1", product_id="p1")])
    """

    rows: "Sequence[Row | Delete] | Row | Delete" = ()
    emit: Sequence[Row] | Row = ()
    refuse: str | None = None
    wake: Sequence[Wake] | Wake = ()


class Near(Protocol):
    """The time, rows in the partition of the event, and rows of global tables."""

    @property
    def now(self) -> datetime:
        """The time of the decision by the worker's clock, which is never set back; in UTC."""

    def get(self, table: TableUse, key: Any) -> Any:
        """Return the row of a key after all earlier decisions; None if there is none.

        Raise ValueError if the key belongs to another partition, or the table to another service.
        """


def refusals_name(service: str) -> str:
    """Return the name of the topic of a service's refusals."""
    return f"{service}.refusals"


class Refusal(Row):
    """A refused event or request, in `<service>.refusals`.

    id      the coordinates of the event, or of the wake-up: topic/partition/offset. For a
            request its address and a hash, as in `POST /orders 5f1c…`: the same one
            whenever the same `Idempotency-Key` comes, another one each time without it.
    state   the table that would have changed.
    key     the key of its row, as text.
    reason  the reason that the function returned.
    event   the original event, or the request; null for a wake-up.
    """

    id: str
    state: str
    key: str
    reason: str
    event: Any


Event: TypeAlias = Row | WakeUp
