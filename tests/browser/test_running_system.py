"""The pages of a running system, as people use them: a real broker, two workers, and orders that were not joined."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import unique
from tests.support.browser import LOOKS, barriers, complaints, context_of, outside, picture, too_wide
from tests.support.topics import COMPACTED, create, send
from tests.support.workers import Worker, running

pytestmark = pytest.mark.browser

MODULE = """
    from larder import DeadLetter, EventTopic, OwnerTopic, Row, Service, Wait

    class Customer(Row):
        customer_id: str
        name: str
        country: str
        revision: int

    class Product(Row):
        product_id: str
        title: str

    class Order(Row):
        order_id: str
        customer_id: str
        product_id: str

    class Enriched(Order):
        customer: Customer
        product: Product

    customers = OwnerTopic(
        "{p}.customers", Customer, key="customer_id", revision="revision", owner="crm", indexes=["country"]
    )
    products = OwnerTopic("{p}.products", Product, key="product_id", owner="catalogue")
    orders = EventTopic("{p}.orders", Order, key="order_id", owner="checkout")
    enriched = OwnerTopic("{p}.enriched", Enriched, key="order_id")

    shipping = Service("{p}.shipping")
    customers_here = shipping.global_table(customers)
    products_here = shipping.global_table(products)
    shipping.table(enriched)
    shipping.join(
        orders,
        [customers_here.on("customer_id"), products_here.on("product_id")],
        into=enriched,
        missing=Wait(seconds=1).then(DeadLetter),
    )
"""

# Sessions long enough for a busy machine: no worker is killed here, so no partition may move.
PATIENT = {"LARDER_SESSION_TIMEOUT_S": "10", "LARDER_HEARTBEAT_S": "0.3"}
CUSTOMERS, PRODUCTS, ORDERS = 120, 12, 400
LOST = "o-lost"


class System(NamedTuple):
    """Two workers that have finished their work.

    `dead_lettered_by`: the worker that dead-lettered the order without a customer; `other`: the other one.
    """

    kafka: str
    name: str
    address: str
    dead_lettered_by: str
    other: str


def customer(number: int, revision: int = 1) -> dict[str, Any]:
    country = ("AT", "NO", "VN", "NG")[number % 4]
    return {"customer_id": f"c{number:03}", "name": f"Customer {number}", "country": country, "revision": revision}


def order(number: int) -> dict[str, Any]:
    return {
        "order_id": f"o{number:03}",
        "customer_id": f"c{number % CUSTOMERS:03}",
        "product_id": f"p{number % PRODUCTS}",
    }


async def _publish(kafka: str, name: str) -> None:
    customers = [customer(number) for number in range(CUSTOMERS)]
    products = [{"product_id": f"p{number}", "title": f"Product {number}"} for number in range(PRODUCTS)]
    lost = {"order_id": LOST, "customer_id": "c404", "product_id": "p1"}
    await send(kafka, f"{name}.customers", [(each["customer_id"], each) for each in customers])
    await send(kafka, f"{name}.products", [(each["product_id"], each) for each in products])
    orders = [*(order(number) for number in range(ORDERS)), lost]
    await send(kafka, f"{name}.orders", [(each["order_id"], each) for each in orders])


def _address(worker: Worker) -> str:
    return re.findall(r"answers at (http://127\.0\.0\.1:\d+)", worker.text)[-1]


def _counted(worker: Worker, kind: str) -> int:
    _, seen = worker.get("/services") or (0, {"joins": []})
    return sum(join["counts"][kind] for join in seen["joins"])


@pytest.fixture(scope="module")
def system(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    name, directory = unique("pages"), tmp_path_factory.mktemp("pages")
    module = MODULE.format(p=name)
    workers = [Worker(kafka, directory, module, f"{name}.shipping", each, PATIENT) for each in ("one", "two")]
    outside(_create(kafka, name))
    with running(*workers):
        for worker in workers:
            worker.until_shared(2)
        outside(_publish(kafka, name))
        deadline = time.monotonic() + 30
        while not (dead_lettered_by := [worker for worker in workers if _counted(worker, "parked")]):
            assert time.monotonic() < deadline, "waited 30 s for the dead letter of the order without a customer"
            time.sleep(0.05)
        for worker in workers:
            worker.until_caught_up()
        (other,) = (worker for worker in workers if worker not in dead_lettered_by)
        yield System(kafka, name, _address(workers[0]), _address(dead_lettered_by[0]), _address(other))


async def _create(kafka: str, name: str) -> None:
    await create(kafka, {f"{name}.customers": 4, f"{name}.products": 2}, COMPACTED)
    await create(kafka, {f"{name}.orders": 4})


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with context_of(browser) as context:
        yield context.new_page()


@pytest.mark.parametrize("look", LOOKS)
def test_every_page_of_a_running_system_is_accessible(system: System, browser: Browser, look: str) -> None:
    table = f"/tables/{system.name}.customers"
    pages = {
        "overview": "/",
        "tables": "/tables",
        "table": table,
        "rows": f"{table}/rows?prefix=c01",
        "range": f"{table}/rows?from=c010&to=c020",
        "index": f"{table}/rows?index=country&value=AT&limit=10",
        "row": f"{table}/rows/c007",
        "topology": "/topology",
        "recovery": "/recovery",
        "joins": "/joins",
        "dead-letters": "/dead-letters?limit=10",
    }
    with context_of(browser, look) as context:
        page = context.new_page()
        complained = complaints(page)
        for name, path in pages.items():
            answer = page.goto(system.dead_lettered_by + path)
            assert answer is not None
            assert answer.status == 200, (path, page.locator("main").inner_text())
            picture(page, f"{name}-{look}")
            assert barriers(page) == [], name
            assert not too_wide(page), name
        page.locator("table.letters tbody a").first.click()
        expect(page.get_by_text("has no row 'c404'")).to_be_visible()
        picture(page, f"dead-letter-{look}")
        assert barriers(page) == []
        assert complained == []
        page.goto(f"{system.address}{table}/rows/c404")
        picture(page, f"no-such-key-{look}")
        expect(page.get_by_text("What to do")).to_be_visible()
        assert barriers(page) == []


@pytest.mark.parametrize("look", ["light", "phone"])
@pytest.mark.parametrize("begin", ["dead_lettered_by", "other"])
def test_the_reason_why_an_order_was_not_joined_is_at_most_five_clicks_away(
    system: System, browser: Browser, begin: str, look: str
) -> None:
    """The first click opens the address that the worker logs."""
    clicks = 1
    with context_of(browser, look) as context:
        page = context.new_page()
        page.goto(getattr(system, begin))
        for click in (
            lambda: page.get_by_role("link", name="Why not joined?").click(),
            page.get_by_role("link", name=LOST).first.click,
        ):
            click()
            clicks += 1
        expect(page.locator(".cause-line")).to_contain_text("has no row 'c404'")
        replay = f"larder dead-letters replay {system.name}.shipping {system.name}.orders/"
        expect(page.get_by_text(replay)).to_be_visible()
    assert clicks <= 5


def test_everything_can_be_found_without_javascript_on_any_worker(system: System, browser: Browser) -> None:
    customers = f"{system.name}.customers"
    with context_of(browser, java_script_enabled=False) as context:
        page = context.new_page()
        for address in (system.dead_lettered_by, system.other):
            page.goto(address)
            expect(page.get_by_role("heading", level=1)).to_have_text("1 thing needs you")
            for name in ("Tables", "Joins", "Dead letters", "Topology", "Recovery", "Overview"):
                page.get_by_role("navigation", name="Pages").get_by_role("link", name=name, exact=True).click()
                expect(page.locator("nav a[aria-current=page]")).to_have_text(name)
            page.get_by_role("link", name="Why not joined?").click()
            page.get_by_role("link", name=LOST).first.click()
            expect(page.locator(".cause-line")).to_contain_text("has no row 'c404'")
            page.goto(f"{address}/tables/{customers}")
            expect(page.locator("table.rows tbody tr")).to_have_count(50)
            page.get_by_role("link", name="More rows").click()
            expect(page.locator("table.rows tbody tr").first).to_contain_text("c05")
            page.get_by_text("By prefix, range or index").click()
            page.get_by_label("from", exact=True).fill("c010")
            page.get_by_label("up to, without").fill("c020")
            page.get_by_label("rows", exact=True).fill("6")
            page.get_by_role("button", name="List").click()
            expect(page.locator("table.rows tbody th")).to_have_text([f"c{number:03}" for number in range(10, 16)])
            page.get_by_role("link", name="Next rows").click()
            expect(page.locator("table.rows tbody th")).to_have_text([f"c{number:03}" for number in range(16, 20)])
            page.get_by_role("link", name="c016").click()
            expect(page.get_by_text("Customer 16", exact=True)).to_be_visible()


def test_any_worker_shows_that_the_missing_row_is_absent(system: System, page: Page) -> None:
    page.goto(system.address)
    page.get_by_role("link", name="Dead letters", exact=True).first.click()
    page.get_by_role("link", name=LOST).first.click()
    expect(page.locator(".cause-line")).to_contain_text("has no row 'c404'")
    page.goto(f"{system.dead_lettered_by}/joins")
    page.get_by_role("link", name="c404").first.click()
    expect(page.locator(".status")).to_have_text("404")


def test_a_row_can_be_found_by_the_forms_of_its_table(system: System, page: Page) -> None:
    page.goto(system.address)
    page.get_by_role("link", name="Tables", exact=True).first.click()
    page.get_by_role("link", name=f"{system.name}.customers").click()
    page.get_by_label("Key", exact=True).fill("c042")
    page.get_by_role("button", name="Open").click()
    page.get_by_role("link", name="c042").click()
    expect(page.get_by_text("Customer 42", exact=True)).to_be_visible()
    page.get_by_role("link", name=f"{system.name}.customers").click()
    page.get_by_text("By prefix, range or index").click()
    page.get_by_label("whose").select_option("country")
    page.get_by_label("is", exact=True).fill("NO")
    page.get_by_label("rows", exact=True).fill("20")
    page.get_by_role("button", name="List").click()
    expect(page.locator("table.rows tbody tr")).to_have_count(20)
    page.get_by_role("link", name="Next rows").click()
    expect(page.locator("table.rows tbody tr")).to_have_count(CUSTOMERS // 4 - 20)


def test_a_row_changes_on_an_open_page_when_its_owner_changes_it(system: System, page: Page) -> None:
    page.goto(f"{system.address}/tables/{system.name}.customers")
    expect(page.locator("[data-liveness]").first).to_have_text("live")
    moved = {**customer(3, revision=2), "name": "Customer who moved <b>"}
    outside(send(system.kafka, f"{system.name}.customers", [("c003", moved), ("c004", None)]))
    expect(page.locator('tr[data-key="c003"]')).to_contain_text("Customer who moved <b>")
    expect(page.locator('tr[data-key="c004"]')).to_have_class("gone")
