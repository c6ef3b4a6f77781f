"""Booking: keeps the state of each order, and nothing else of it, for the pages of customers."""

from larder import Service
from tables.booking import Status, statuses
from tables.orders import OrderChange, changes

booking = Service("booking", context="sales")


@booking.fold(changes, state=booking.table(statuses))
def status(change: OrderChange, status: Status | None) -> Status | None:
    """Keep the state of the last step."""
    if status is not None and status.step >= change.step:
        return None
    return Status(order_id=change.order_id, state=change.state, step=change.step)
