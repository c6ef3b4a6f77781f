"""The process with real workers, seen from outside."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.process.running import LATER, Running, running_process
from tests.support.browser import LOOKS, barriers, browsing, complaints, context_of, picture, too_wide
from tests.support.eventually import eventually

pytestmark = pytest.mark.timeout(300)  # the first test waits until seven workers have started

FEW, ENOUGH, NONE, LOW, KILLED = "p0", "p1", "p2", "p3", "p4"
OTHERS = dict.fromkeys((FEW, ENOUGH, NONE, LOW, KILLED), "Lamp")
SHOWN = {"p001": "Lamp 1", "p002": "Lamp 2", "p003": "Lamp 3"}
"""Products that the page sells."""


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_process(tmp_path_factory.mktemp("process"), {**OTHERS, **SHOWN}) as found:
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


@pytest.mark.scenario("3.1")
def test_a_client_whose_order_takes_longer_is_told_where_to_wait_on(process: Running) -> None:
    process.outside.fail("charges", slow=1.0)
    worker, body = process.workers["orders"], {"customer_id": "c1", "product_id": ENOUGH, "quantity": 1}
    status, answer, headers = worker.posted("/orders?until=settled&wait=0.5", {"order_id": "slow", **body})
    assert (status, answer["row"]["state"] in {"requested", "validated"}) == (202, True), answer
    further = headers["Location"].replace("wait=0.5", "wait=3")
    _, answer = eventually(lambda: worker.get(further) or (0, {}), lambda found: found[0] == 200)
    assert answer["row"]["state"] in {"confirmed", "shipped"}
    process.outside.fail("charges")
    process.placed["slow"] = body


@pytest.mark.scenario("3.2")
def test_a_hundred_orders_at_once_for_ten_pieces_are_ten_confirmed_and_ninety_rejected(process: Running) -> None:
    orders = [f"few-{number}" for number in range(100)]
    with (
        process.more("orders", ("two", "three")),
        process.more("stock", ("two", "three")),
        ThreadPoolExecutor(100) as pool,
    ):
        answers = list(pool.map(lambda order: process.place(order, FEW), orders))
    assert [status for status, _ in answers] == [201] * 100
    ends = Counter(answer["row"]["state"] for _, answer in answers)
    assert (ends["confirmed"] + ends["shipped"], ends["rejected"]) == (10, 90)
    level = eventually(lambda: process.row("stock", "warehouse.stock", FEW), lambda row: row["reserved"] == {})
    assert (level["free"], level["sold"], level["delivered"]) == (0, 10, 10)


def test_an_order_without_stock_is_rejected_by_its_deadline(process: Running) -> None:
    process.place("nothing", NONE, wait=False)
    row = process.until_state("nothing", "rejected")
    assert row["reason"] == "stock: no answer in 10 s"


@pytest.mark.scenario("3.5")
def test_while_the_provider_is_down_for_a_minute_orders_wait_and_those_that_are_cancelled_cost_nothing(
    process: Running,
) -> None:
    process.outside.fail("charges", down=True)
    until, orders = time.monotonic() + 60, []
    while time.monotonic() < until:
        orders.append(f"down-{len(orders)}")
        assert process.place(orders[-1], wait=False)[0] == 201
        process.until_state(orders[-1], "validated")
        time.sleep(1)
    status, answer = process.workers["orders"].post("/orders/down-0/cancel", {})
    assert (status, answer["row"]["state"]) == (200, "cancelled")
    process.outside.fail("charges")
    for order in orders[1:]:
        process.until_state(order, "confirmed", "shipped", seconds=60)
    ledger = eventually(process.outside.ledger, lambda found: "down-0" in found["voided"])
    assert {order: ledger["charges"].get(order, 0) for order in orders} == {
        each: 100 * (each != "down-0") for each in orders
    }
    assert len(orders) > 20


def test_no_call_is_made_twice_while_workers_restart_one_after_the_other(process: Running) -> None:
    orders = [f"rolling-{number}" for number in range(60)]
    with ThreadPoolExecutor(4) as pool:
        placed = [pool.submit(process.place, order, wait=False) for order in orders]
        for name, after in (("payments", 5), ("stock", 20), ("orders", 35), ("mailing", 50)):
            placed[after].result()
            assert process.workers[name].stop() == 0
            process.workers[name].start()
    for order in orders:
        process.until_state(order, "shipped")
    ledger = eventually(process.outside.ledger, lambda found: set(orders) <= set(found["mails"]))
    for kind in ("charges", "mails"):
        assert {order: ledger["asked"][kind][order] for order in orders} == dict.fromkeys(orders, 1), kind


def test_an_answer_that_the_provider_lost_is_charged_once(process: Running) -> None:
    process.outside.fail("charges", lost=1)
    process.place("lost", wait=False)
    process.until_state("lost", "confirmed", "shipped")
    ledger = process.outside.ledger()
    assert (ledger["charges"]["lost"], ledger["asked"]["charges"]["lost"]) == (100, 2)


@pytest.mark.scenario("3.6")
def test_one_command_and_one_page_tell_the_story_of_an_order_over_all_services(process: Running) -> None:
    process.place("told")
    process.until_state("told", "shipped")
    eventually(process.outside.ledger, lambda found: "told" in found["mails"])
    wanted = {"orders", "stock", "fraud", "payments", "shipments", "booking", "mailing"}
    story = eventually(lambda: process.trace("told"), lambda found: wanted <= set(found["services"]), 60)
    topics = {each["topic"] for each in story["steps"]}
    assert {"sales.orders", "sales.order-changes", "finance.checks", "finance.paid", "warehouse.checks"} <= topics
    assert {
        "warehouse.stock",
        "finance.spending",
        "warehouse.histories",
        "sales.statuses",
        "sales.letters",
        "sales.mailed",
    } <= topics
    assert len(story["traces"]) == 1
    made = [each for each in story["steps"] if each["cause"]]
    assert len(made) > 10
    assert all(each["worker"] for each in made)
    for worker in (process.workers["orders"], process.workers["mailing"]):
        status, shown = worker.get("/trace?key=told") or (0, {})
        assert (status, {each["topic"] for each in shown["steps"]}) == (200, topics)


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
    process.add_pricing()
    process.place("after", quantity=4)
    pieces = sum(each["quantity"] for each in process.placed.values() if each["product_id"] == ENOUGH)
    price = eventually(
        lambda: process.row(LATER, "sales.prices", ENOUGH), lambda row: row is not None and row["ordered"] >= pieces
    )
    assert (price["ordered"], price["price"]) == (pieces, 100 + min(pieces, 100))
    assert others == {name: worker.process.pid for name, worker in process.workers.items() if name != LATER}


@pytest.fixture
def counter(process: Running) -> Iterator[str]:
    process.add_pricing()
    with process.counter() as url:
        yield url


@pytest.mark.browser
def test_a_person_orders_on_the_page_and_sees_orders_wait_while_the_provider_is_stopped(
    process: Running, counter: str
) -> None:
    with browsing() as browser, context_of(browser) as context:
        page = context.new_page()
        complained = complaints(page)
        page.goto(counter)
        order_lamps(page, "Lamp 3", 2)
        first = page.locator("#orders > li").first
        expect(first.locator("[aria-current]")).to_have_text("shipped", timeout=20_000)
        lamp = page.locator("#shelf > li").filter(has_text="Lamp 3")
        expect(lamp.locator("strong")).to_have_text("1.02", timeout=20_000)
        page.get_by_role("button", name="Stop it").click()
        expect(page.locator("#provider")).to_have_text("stopped: orders wait")
        order_lamps(page, "Lamp 3", 1)
        order_lamps(page, "Lamp 3", 1)
        for number in (0, 1):
            waiting = page.locator("#orders > li").nth(number)
            expect(waiting).to_contain_text("waits for the provider", timeout=20_000)
        looks_right(browser, counter, context.storage_state())
        page.get_by_role("button", name="Cancel").first.click()
        expect(first.locator("[aria-current]")).to_have_text("cancelled")
        page.get_by_role("button", name="Start it").click()
        # The calls may wait for as long as the breaker stays open: half a minute.
        expect(page.locator("#orders > li").nth(1).locator("[aria-current]")).to_have_text("shipped", timeout=60_000)
        expect(lamp).to_contain_text("17 free, 0 reserved, 3 sold")
        order_lamps(page, "Lamp 3", 1_000)
        expect(page.locator("#orders > li").first).to_contain_text("stock: 17 of p003 are free", timeout=20_000)
        process.workers["stock"].kill()
        expect(page.locator("#away")).to_have_text("No answer from: stock. The rest goes on.", timeout=20_000)
        process.workers["stock"].start()
        # The browser itself notes that the counter once could not answer.
        assert [each for each in complained if "Failed to load resource" not in each] == []


def order_lamps(page: Page, product: str, quantity: int) -> None:
    page.get_by_label("Pieces").fill(str(quantity))
    before = page.locator("#orders > li").count()
    page.get_by_role("button", name=f"Order {product}", exact=True).click()
    expect(page.locator("#orders > li")).to_have_count(before + 1)


def looks_right(browser: Browser, url: str, state: Any) -> None:
    """Look at the orders in each kind of window."""
    for look in LOOKS:
        with context_of(browser, look, storage_state=state) as context:
            page = context.new_page()
            page.goto(url)
            expect(page.locator("#orders > li")).to_have_count(3)
            expect(page.locator("#shelf > li")).to_have_count(3)
            picture(page, f"counter-{look}")
            assert (barriers(page), too_wide(page)) == ([], False), look


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
