"""Over complete tables, a run in memory and a worker make the same records."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from typing import Any

from larder.testing import run_in_memory
from tests.cluster.shops import Shop
from tests.support.modules import imported
from tests.support.topics import COMPACTED, Sent, create, encoded, read, send, until_count
from tests.support.workers import running

# Every kind of join and every policy for a missing partner; outputs of functions and spliced ones.
SERVICE = """
class Product(Row):
    product_id: str
    price: int

class Sale(Order):
    product_id: str | None

class Sold(Sale):
    customer: Customer | None
    product: Product | None

class Priced(Row):
    order_id: str
    text: str

products = OwnerTopic("{prefix}.products", Product, key="product_id", owner="catalogue")
sales = EventTopic("{prefix}.sales", Sale, key="order_id", owner="checkout")
passed = EventTopic("{prefix}.passed", Sold, key="order_id", owner="{prefix}")
parked = EventTopic("{prefix}.parked", Sold, key="order_id", owner="{prefix}")
waited = EventTopic("{prefix}.waited", Sold, key="order_id", owner="{prefix}")
priced = EventTopic("{prefix}.priced", Priced, key="order_id", owner="{prefix}")

held = service.table(customers)
everywhere = service.global_table(products)
both = [held.on("customer_id"), everywhere.on("product_id")]
service.join(sales.by("customer_id"), both, into=passed, missing=PassOn)
service.join(sales.by("customer_id"), both, into=parked)
service.join(sales.by("customer_id"), both, into=waited, missing=Wait(seconds=0.2).then(Drop))

@service.join(sales, everywhere.on("product_id"), into=priced, missing=PassOn)
def price(sale: Sale, product: Product | None) -> Priced | None:
    if sale.number % 5 == 0:
        raise ValueError(f"nobody buys number {sale.number}")
    if sale.number % 7 == 0:
        return None
    return Priced(order_id=sale.order_id, text=f"{sale.number} at {product.price if product else 'no price'}")
"""


def test_a_worker_makes_the_same_records_as_a_run_in_memory(shop: Shop, chance: random.Random) -> None:
    customers = [Sent(key, each.row) for key, all_ in shop.published.items() for each in all_]
    products = [Sent(f"p{number}", {"product_id": f"p{number}", "price": number}) for number in range(20)]
    sales = list(_sales(chance, 400))
    worker = shop.worker(text := shop.module(SERVICE))
    call, name = shop.beside.call, lambda topic: f"{shop.prefix}.{topic}"
    call(create(shop.kafka, {name("products"): 2}, COMPACTED))
    call(create(shop.kafka, {name("sales"): 4}))
    call(send(shop.kafka, name("products"), products))
    given = {"customers": customers, "products": products, "sales": sales}
    expected = run_in_memory(
        imported(text, shop.directory).service,
        {name(topic): [(each.key, encoded(each.value)) for each in records] for topic, records in given.items()},
    )
    letters = expected.pop(name("dead-letters"))
    with running(worker):
        worker.until_caught_up()
        call(send(shop.kafka, name("sales"), sales))
        for topic, records in expected.items():
            assert records
            call(until_count(shop.kafka, topic, len(records)))
        worker.until_caught_up()
        assert worker.stop() == 0
    for topic, records in expected.items():
        assert Counter(map(_made, call(read(shop.kafka, topic)))) == Counter(map(_made, records)), topic
    assert {_letter(each) for each in shop.dead_letters()} == {_letter(each) for each in letters}


def _made(record: Any) -> tuple[bytes, bytes]:
    return record.key, record.value


def _letter(letter: Any) -> tuple[bytes | None, bytes]:
    """Return the common part of a dead letter. In memory, each join writes one, and its coordinates differ."""
    return letter.value, dict(letter.headers)["larder.cause"]


def _sales(chance: random.Random, count: int) -> Iterable[Sent]:
    """Return mostly valid orders; some with an absent partner or without one, and some invalid."""
    for number in range(count):
        key = f"s{number}"
        row: Any = {
            "order_id": key,
            "customer_id": chance.choice(["c1", "c2", "c3", "d1", "nobody"]),
            "product_id": chance.choice(["p1", "p2", None, "nothing"]),
            "number": number,
            "note": chance.choice(["ü", 1.5, None]),
        }
        yield Sent(key, chance.choice([row] * 30 + [None, b"{", b"[]", {**row, "customer_id": None}, {"number": 1}]))
