"""Shipments and booking: the whole history of an order, and only its state."""

from __future__ import annotations

from datetime import timedelta

from agents.booking import booking
from agents.shipments import PACKING, shipments
from larder.testing import Driver
from tables.booking import Status, statuses
from tables.orders import OrderChange, changes
from tables.shipments import Shipped, Step, histories, shipped
from tests.agents.samples import NOON, change


def stepped(step: int, state: str) -> OrderChange:
    return change(state, step=step, changed_at=NOON + timedelta(seconds=step))


def test_each_state_is_in_the_history_once_and_in_order() -> None:
    with Driver(shipments, now=NOON) as driver:
        for step, state in ((1, "requested"), (2, "validated"), (1, "requested"), (3, "cancelled")):
            driver.send(changes, stepped(step, state))
        assert driver.table(histories).get("o1").steps == (
            Step(state="requested", at=NOON + timedelta(seconds=1)),
            Step(state="validated", at=NOON + timedelta(seconds=2)),
            Step(state="cancelled", at=NOON + timedelta(seconds=3)),
        )


def test_a_parcel_is_sent_once_some_time_after_the_order_is_confirmed() -> None:
    with Driver(shipments, now=NOON) as driver:
        for _ in range(2):
            driver.send(changes, stepped(4, "confirmed"))
        assert driver.read(shipped) == []
        driver.advance_to(NOON + PACKING)
        assert driver.read_rows(shipped) == [Shipped(order_id="o1")]
        driver.send(changes, stepped(4, "confirmed"))
        driver.advance(hours=1)
        assert driver.read(shipped) == []


def test_booking_keeps_the_state_of_the_last_step() -> None:
    with Driver(booking) as driver:
        for step, state in ((1, "requested"), (2, "validated"), (1, "requested")):
            driver.send(changes, stepped(step, state))
        assert driver.table(statuses).get("o1") == Status(order_id="o1", state="validated", step=2, revision=2)
