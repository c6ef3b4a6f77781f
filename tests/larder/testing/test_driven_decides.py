"""Decides and reactions that a test drives, and what flows on from one to the next."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from larder import Decision, EventTopic, Service, Wake
from larder.testing import Driver, run_in_memory
from larder.types import UNKNOWN, Near, Unknown, WakeUp
from tests.larder.testing.shop import (
    NOON,
    Change,
    Count,
    Customer,
    Order,
    ada,
    counting,
    counts,
    customers,
    order,
    orders,
)


def test_results_that_the_service_reads_itself_flow_on() -> None:
    with Driver(counting(), now=NOON) as driver:
        driver.send(customers, ada())
        for number in range(3):
            driver.send(orders, order(f"o{number}"))
        assert driver.table(counts).get("c1") == Count(customer_id="c1", orders=3, revision=3)
        assert [row.orders for row in driver.read_rows(counts)] == [1, 2, 3]
        driver.send(customers, ada(2, "nobody"))
        driver.send(orders, order("o4"))
        (refused,) = driver.read_rows("shop.refusals")
        assert (refused.id, refused.reason) == ("shop.joined.by.customer_id/0/3", "nobody orders nothing")


def test_a_row_is_woken_when_the_clock_comes_to_its_time() -> None:
    with Driver(counting(), now=NOON) as driver:
        driver.send(customers, ada())
        driver.send(orders, order("o1"))
        driver.send(orders, order("o2"))
        driver.advance(minutes=1)
        assert driver.table(counts).get("c1").orders == 2
        driver.advance(minutes=5)
        assert driver.table(counts).rows() == []
        gone = driver.read(counts)[-1]
        assert (gone.key, gone.headers, gone.at) == (
            b"c1",
            (("larder.revision", b"3"),),
            NOON + timedelta(minutes=2),
        )
        driver.send(orders, order("o3"))
        assert driver.table(counts).get("c1") is None, "its wake-up was due when it was set"


def test_a_row_that_is_woken_may_be_woken_again() -> None:
    service = Service("shop")

    @service.decide(orders.by("customer_id"), state=service.table(counts))
    def count(event: Order | WakeUp, row: Count | None) -> Decision:
        key, at = (event.key, event.at) if isinstance(event, WakeUp) else (event.customer_id, NOON)
        total = 1 + (row.orders if row else 0)
        return Decision(Count(customer_id=key, orders=total), wake=Wake(key, at + timedelta(hours=1)))

    with Driver(service, now=NOON) as driver:
        driver.send(orders, order())
        driver.advance(hours=3)
        assert driver.table(counts).get("c1").orders == 4


def test_a_wake_up_that_cannot_be_decided_on_is_a_dead_letter() -> None:
    service = Service("shop")

    @service.decide(orders.by("customer_id"), state=service.table(counts))
    def count(event: Order | WakeUp, _row: Count | None) -> Decision:
        if isinstance(event, Order):
            return Decision(wake=Wake(event.customer_id, NOON))
        message = "overslept"
        raise LookupError(message)

    with Driver(service, now=NOON) as driver:
        driver.send(orders, order())
        (letter,) = driver.dead_letters()
        driver.advance(days=1)
    assert (letter.topic, letter.record.row["key"]) == ("shop.counts.wake-ups", "YzE=")
    assert "raised LookupError: overslept" in letter.cause


def test_a_reaction_gets_each_change_and_unknown_for_what_could_not_be_read() -> None:
    changes = EventTopic("changes", Change, key="customer_id", owner="shop")
    service = Service("shop")

    @service.on_change(service.table(customers), into=changes)
    def changed(old: Customer | Unknown | None, new: Customer | None) -> Change:
        before = "unknown" if old is UNKNOWN else old.name if isinstance(old, Customer) else "none"
        return Change(customer_id=new.customer_id if new else "gone", old=before)

    with Driver(service) as driver:
        driver.send(customers, b"{}", key="c1")
        driver.send(customers, ada())
        driver.send(customers, ada())
        driver.send(customers, None, key="c1")
        assert [row.old for row in driver.read_rows(changes)] == ["unknown", "Ada"]
        (letter,) = driver.dead_letters()
        assert (letter.topic, letter.offset) == ("customers", 0)


def test_a_function_is_told_the_time_of_the_clock() -> None:
    service, found = Service("shop"), list[object]()
    here = service.table(counts)

    @service.decide(orders.by("customer_id"), state=here)
    def count(event: Order | WakeUp, _row: Count | None, near: Near) -> Decision:
        found.append(near.now)
        return Decision(wake=Wake(event.customer_id, near.now + timedelta(hours=1)) if isinstance(event, Order) else ())

    @service.request("POST /orders", state=here)
    def place(_request: Order, _row: Count | None, near: Near) -> Decision:
        found.append(near.now)
        return Decision()

    with Driver(service, now=NOON) as driver:
        driver.send(orders, order(), at=NOON - timedelta(days=1))
        driver.advance(hours=2)
        driver.request("POST /orders", order())
    assert found == [NOON, NOON + timedelta(hours=1), NOON + timedelta(hours=2)]
    run_in_memory(service, {orders: [order()]}, until=NOON)
    run_in_memory(service, {orders: [order()]})
    assert found[3:] == [NOON, datetime(1970, 1, 1, tzinfo=UTC)]
