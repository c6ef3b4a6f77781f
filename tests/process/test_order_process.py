"""The process with real workers, seen from outside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.process.running import LATER, Running, running_process, until_running
from tests.support.eventually import eventually

pytestmark = pytest.mark.timeout(300)  # the first test waits until seven workers have started

FEW, ENOUGH, NONE, LOW, KILLED = "p0", "p1", "p2", "p3", "p4"


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_process(tmp_path_factory.mktemp("process"), products=5) as found:
        found.deliver(FEW, 10)
        found.deliver(ENOUGH, 1_000)
        yield found


@pytest.mark.scenario("3.1")
def test_a_client_that_waits_is_told_that_its_order_is_confirmed(process: Running) -> None:
    status, answer = process.place("simple", quantity=2)
    assert (status, answer["row"]["state"]) in {(201, "confirmed"), (201, "shipped")}, answer
    process.until_state("simple", "shipped")
    ledger = eventually(process.outside.ledger, lambda found: "simple" in found["mails"])
    assert (ledger["charges"]["simple"], ledger["asked"]["charges"]["simple"]) == (200, 1)
    assert "is confirmed" in ledger["mails"]["simple"]["text"]
    history = eventually(
        lambda: process.row("shipments", "warehouse.histories", "simple"),
        lambda row: row is not None and len(row["steps"]) == 5,
    )
    assert [each["state"] for each in history["steps"]] == ["requested", "validated", "paid", "confirmed", "shipped"]
    eventually(
        lambda: process.row("booking", "sales.statuses", "simple"),
        lambda row: row is not None and row["state"] == "shipped",
    )


def test_no_more_orders_are_confirmed_than_there_are_pieces(process: Running) -> None:
    orders = [f"few-{number}" for number in range(40)]
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda order: process.place(order, FEW), orders))
    assert {status for status, _ in answers} <= {201, 202}
    ends = [process.until_state(order, "confirmed", "shipped", "rejected") for order in orders]
    assert Counter(each["state"] == "rejected" for each in ends) == {False: 10, True: 30}
    level = eventually(lambda: process.row("stock", "warehouse.stock", FEW), lambda row: row["reserved"] == {})
    assert (level["free"], level["sold"], level["delivered"]) == (0, 10, 10)


def test_an_order_without_stock_is_rejected_by_its_deadline(process: Running) -> None:
    process.place("nothing", NONE, wait=False)
    row = process.until_state("nothing", "rejected")
    assert row["reason"] == "stock: no answer in 10 s"


def test_while_the_provider_is_down_orders_wait_and_those_that_are_cancelled_cost_nothing(process: Running) -> None:
    process.outside.fail("charges", down=True)
    orders = [f"down-{number}" for number in range(10)]
    for order in orders:
        assert process.place(order, wait=False)[0] == 201
    for order in orders:
        process.until_state(order, "validated")
    status, answer = process.workers["orders"].post("/orders/down-0/cancel", {})
    assert (status, answer["row"]["state"]) == (200, "cancelled")
    process.outside.fail("charges")
    for order in orders[1:]:
        process.until_state(order, "confirmed", "shipped")
    ledger = eventually(process.outside.ledger, lambda found: "down-0" in found["voided"])
    assert {order: ledger["charges"].get(order, 0) for order in orders} == {
        each: 100 * (each != "down-0") for each in orders
    }


def test_an_answer_that_the_provider_lost_is_charged_once(process: Running) -> None:
    process.outside.fail("charges", lost=1)
    process.place("lost", wait=False)
    process.until_state("lost", "confirmed", "shipped")
    ledger = process.outside.ledger()
    assert (ledger["charges"]["lost"], ledger["asked"]["charges"]["lost"]) == (100, 2)


def test_an_order_that_is_posted_several_times_at_once_counts_once(process: Running) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: process.place("twice"), range(8)))
    assert {answer["key"] for _, answer in answers} == {"twice"}
    process.until_state("twice", "shipped")
    assert process.outside.ledger()["charges"]["twice"] == 100
    history = process.row("shipments", "warehouse.histories", "twice")
    assert sum(each["state"] == "requested" for each in history["steps"]) == 1


@pytest.mark.scenario("3.7")
def test_stock_that_runs_low_is_bought_without_being_told(process: Running) -> None:
    process.deliver(LOW, 3, low=3)
    process.place("last-pieces", LOW, quantity=2)
    level = eventually(lambda: process.row("stock", "warehouse.stock", LOW), lambda row: row["delivered"] == 26)
    assert (level["free"], level["awaits"]) == (24, None)
    assert process.outside.ledger()["purchases"] == {f"{LOW}/1": 23}


@pytest.mark.scenario("3.3")
def test_pricing_is_added_later_and_knows_the_orders_of_before(process: Running) -> None:
    process.place("before", quantity=3)
    others = {name: worker.process.pid for name, worker in process.workers.items() if name != LATER}
    process.workers[LATER].start()
    until_running(process.workers[LATER])
    process.place("after", quantity=4)
    pieces = sum(each["quantity"] for each in process.placed.values() if each["product_id"] == ENOUGH)
    price = eventually(
        lambda: process.row(LATER, "sales.prices", ENOUGH), lambda row: row is not None and row["ordered"] >= pieces
    )
    assert (price["ordered"], price["price"]) == (pieces, 100 + min(pieces, 100))
    assert others == {name: worker.process.pid for name, worker in process.workers.items() if name != LATER}


@pytest.mark.scenario("10.1")
def test_without_shipments_booking_shows_the_state_of_an_order(process: Running) -> None:
    process.workers["shipments"].kill()
    process.place("unshipped")
    status = eventually(
        lambda: process.row("booking", "sales.statuses", "unshipped"),
        lambda row: row is not None and row["state"] == "confirmed",
    )
    assert set(status) == {"order_id", "state", "step", "revision"}
    process.workers["shipments"].start()
    process.until_state("unshipped", "shipped")


def test_workers_that_are_killed_lose_nothing_and_have_nothing_charged_twice(process: Running) -> None:
    process.deliver(KILLED, 40)
    orders = [f"killed-{number}" for number in range(60)]
    with ThreadPoolExecutor(4) as pool:
        placed = [pool.submit(process.place, order, KILLED, wait=False) for order in orders]
        for name, after in (("payments", 5), ("stock", 20), ("orders", 35)):
            placed[after].result()
            process.workers[name].kill()
            process.workers[name].start()
    ends = {order: process.until_state(order, "shipped", "rejected")["state"] for order in orders}
    shipped = [order for order, state in ends.items() if state == "shipped"]
    level = eventually(lambda: process.row("stock", "warehouse.stock", KILLED), lambda row: row["reserved"] == {})
    assert (level["free"], level["sold"], level["delivered"]) == (40 - len(shipped), len(shipped), 40)
    ledger = eventually(process.outside.ledger, lambda found: set(orders) <= set(found["mails"]))
    assert {order: ledger["charges"][order] for order in orders if order in ledger["charges"]} == dict.fromkeys(
        shipped, 100
    )
    assert len(shipped) > 0
