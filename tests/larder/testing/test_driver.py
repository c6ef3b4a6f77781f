"""A driver: what it takes, what it shows, and what it says of mistakes."""

from __future__ import annotations

import doctest
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.fulfilment import fulfilment
from larder import EventTopic, OwnerTopic, PassOn, Service, Wait
from larder.testing import Driver, MemoryRecord, UnreadDeadLettersError, run_in_memory
from larder.testing.driver import START
from larder.types import DeclarationError
from tables import shop
from tests.larder.testing.shop import (
    NOON,
    Customer,
    Device,
    Order,
    Placed,
    Reading,
    ada,
    counting,
    counts,
    customers,
    joined,
    joining,
    labels,
    names,
    order,
    orders,
)


def test_a_record_has_had_its_effect_when_it_is_sent() -> None:
    with Driver(joining()) as driver:
        driver.send(customers, ada())
        driver.send(orders, order())
        assert names(driver) == [("o1", "Ada")]
        assert names(driver) == []
        driver.send(customers, ada(2, "Ada L."))
        driver.send("orders", order("o2"))
        assert names(driver) == [("o2", "Ada L.")]


def test_a_result_has_key_value_and_the_time_of_its_record() -> None:
    with Driver(joining(), now=NOON) as driver:
        driver.send(customers, ada())
        driver.send(orders, order(), headers={"trace": b"1"})
        driver.send(orders, order("o2"), at=NOON - timedelta(hours=1))
        first, second = driver.read(joined)
    assert (first.key, first.headers) == (b"o1", ())
    assert first.value == (
        b'{"order_id":"o1","customer_id":"c1","amount":1,"customer":{"customer_id":"c1","name":"Ada","revision":1}}'
    )
    assert (first.at, second.at) == (NOON, NOON - timedelta(hours=1))


def test_rows_of_a_table_are_those_that_a_worker_would_have() -> None:
    with Driver(joining()) as driver:
        table = driver.table(customers)
        driver.send(customers, ada(3, "Ada"))
        driver.send(customers, ada(2, "late"))
        driver.send(customers, Customer(customer_id="c0", name="Bob", revision=1))
        assert [row.name for row in table.rows()] == ["Bob", "Ada"]
        driver.send(customers, None, key="c1", headers={"larder.revision": b"4"})
        driver.send(customers, ada(4, "late"))
        assert table.get("c1") is None
        driver.send(customers, ada(5, "again"))
        assert table.get("c1") == ada(5, "again")


def test_what_other_programs_send_may_be_a_dict_or_bytes() -> None:
    with Driver(joining(PassOn)) as driver:
        driver.send(customers, {"customer_id": "c1", "name": "Ada", "revision": 1.0})
        driver.send(orders, b'{"order_id": "o1", "customer_id": "c1"}', key=b"o1")
        assert names(driver) == [("o1", "Ada")]
        driver.send(orders, {"order_id": "o2"})
        (letter,) = driver.dead_letters()
    assert (letter.topic, letter.offset, letter.record.key) == ("orders", 1, b"o2")
    assert "missing required field `customer_id`" in letter.cause


def test_a_key_in_another_form_is_the_same_key() -> None:
    devices = OwnerTopic("devices", Device, key="device", key_type=UUID)
    readings = EventTopic("readings", Reading, key="device", key_type=UUID)
    service = Service("shop")
    placed = EventTopic("placed", Placed, key="device", key_type=UUID)
    service.join(readings, service.table(devices).on("device", "device_row"), into=placed)
    name = UUID(int=0xABC)
    with Driver(service) as driver:
        driver.send(devices, Device(device=name), key=f"{{{name}}}".upper().encode())
        assert driver.table(devices).get(name) == Device(device=name)
        driver.send(readings, Reading(device=name))
        assert driver.read_rows(placed) == [Placed(device=name, device_row=Device(device=name))]


def test_an_unread_dead_letter_fails_the_test() -> None:
    with (
        pytest.raises(UnreadDeadLettersError, match=r"shop\.orders\.by\.customer_id/0/0: customers has no row 'c1'"),
        Driver(joining()) as it,
    ):
        it.send(orders, order())
    with Driver(joining()) as driver:
        driver.send(orders, order())
        (raw,) = driver.read("shop.dead-letters")
        assert dict(raw.headers)["larder.key"] == b"o1"


def test_a_block_that_fails_raises_its_own_error() -> None:
    driver = Driver(joining())
    driver.send(orders, order())
    with pytest.raises(DeclarationError, match="reading nothing"), driver:
        driver.read("nothing")


def test_the_fixture_opens_drivers(larder_driver: Callable[..., Driver]) -> None:
    driver, later = larder_driver(joining()), larder_driver(joining(), now=NOON)
    driver.send(customers, ada())
    assert (driver.now, later.now) == (START, NOON)
    assert (driver.table(customers).get("c1"), later.table("customers").rows()) == (ada(), [])


@given(
    st.lists(st.sampled_from(["c1", "c2", "c3"]), unique=True),
    st.lists(st.sampled_from(["c1", "c2", "c4"]), max_size=8),
)
def test_a_driver_that_gets_tables_first_has_the_results_of_a_run_over_lists(
    known: list[str], bought: list[str]
) -> None:
    rows = [Customer(customer_id=key, name=key, revision=1) for key in known]
    records = [order(f"o{number}", key) for number, key in enumerate(bought)]
    service = counting(Wait(seconds=60).then(PassOn))
    expected = run_in_memory(service, {customers: rows, orders: records})
    driver = Driver(service)
    for row in rows:
        driver.send(customers, row)
    for record in records:
        driver.send(orders, record)
    driver.advance(minutes=1)
    assert Counter(_keys_and_values(driver.read(joined))) == Counter(_keys_and_values(expected[joined]))
    assert [letter.value for letter in driver.read("shop.dead-letters")] == [
        letter.value for letter in expected["shop.dead-letters"]
    ]
    totals = {row.customer_id: row.orders for row in driver.read_rows(counts)}
    assert totals == {record.row.customer_id: record.row.orders for record in expected[counts]}


def _keys_and_values(records: list[MemoryRecord]) -> list[tuple[bytes | None, bytes | None]]:
    return [(record.key, record.value) for record in records]


@pytest.mark.parametrize("documented", [Driver, run_in_memory])
def test_the_examples_of_docstrings_run(documented: Any) -> None:
    ada = shop.Customer(customer_id="c1", name="Ada", country="AT", revision=1)
    bought = shop.Order(order_id="o1", customer_id="c1", product_id="p1", quantity=1, amount=1.0, ordered_at=NOON)
    names = {
        "fulfilment": fulfilment, "shop": shop, "Customer": shop.Customer,
        "ada": ada, "order": bought, "orders": [bought], documented.__name__: documented,
    }  # fmt: skip
    (example,) = doctest.DocTestFinder(recurse=False).find(documented, globs=names)
    assert example.examples
    assert doctest.DocTestRunner().run(example).failed == 0


@pytest.mark.parametrize(
    ("use", "told"),
    [
        (
            lambda it: it.send(joined, order()),
            r'records of joined: .*found "joined"; give records of customers, orders',
        ),
        (
            lambda it: it.send(orders, ada()),
            "record 0 of orders: requires a row of Order, a dict, JSON bytes or None; fo",
        ),
        (lambda it: it.send(orders, {"order_id": 1}), "requires a str in order_id, .*found 1; give its key: key="),
        (
            lambda it: it.read(orders),
            'reading orders: requires a topic that shop publishes into; found "orders"; read j',
        ),
        (
            lambda it: it.table(labels),
            'table labels: requires a table that shop declares; found "labels"; ask for cust',
        ),
        (lambda it: it.advance(seconds=-1), "the clock of a driver: requires a time that is not before 2000-01-01T00"),
    ],
)
def test_a_mistake_raises_a_problem_that_says_what_to_do(use: Callable[[Driver], Any], told: str) -> None:
    with pytest.raises(DeclarationError, match=told):
        use(Driver(joining()))


def test_a_service_that_feeds_itself_without_end_is_refused() -> None:
    service = Service("shop")
    table = service.global_table(customers)
    back = EventTopic("back", Order, key="order_id", owner="shop")
    service.join(back, table.on("customer_id"), into=joined, missing=PassOn)
    service.join(joined, table.on("customer_id", "again"), into=back, missing=PassOn)(
        lambda row, _: Order(order_id=row.order_id, customer_id=row.customer_id)
    )
    with pytest.raises(DeclarationError, match="what comes of a record comes to an end"):
        Driver(service).send(back, order())
