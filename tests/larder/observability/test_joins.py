"""The quality of joins as it is told: by join and partition, with keys as people write them."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from larder import DeadLetter, EventTopic, OwnerTopic, Row, Service, Wait
from larder.counters.counts import Counts
from larder.counters.join_quality import NEWEST, QualityOfJoin
from larder.declaring.compiled.joins import LookedUp
from larder.observability.joins import of_all, quality
from tests.larder.operators.memory_delivery import Sent


class Customer(Row):
    number: int
    name: str


class Product(Row):
    product_id: str


class Order(Row):
    order_id: uuid.UUID
    customer: int | None
    product_id: str


class Joined(Order):
    buyer: Customer
    product: Product


ORDER = uuid.UUID("12345678-1234-5678-1234-567812345678")

service = Service("shipping")
customers = service.table(OwnerTopic("customers", Customer, key="number", key_type=int))
products = service.global_table(OwnerTopic("products", Product, key="product_id"))
orders = EventTopic("orders", Order, key="order_id", key_type=uuid.UUID)
joined = EventTopic("joined", Joined, key="order_id", key_type=uuid.UUID)
service.join(
    orders.by("customer"), [customers.on("customer", embed="buyer"), products.on("product_id")],
    into=joined, missing=Wait(seconds=5).then(DeadLetter),
)  # fmt: skip


def told(counts: Counts, waiting: dict[tuple[str, int], int] | None = None) -> dict[str, Any]:
    (told,) = quality(service, counts, waiting or {})["joins"]
    return told


def counted(clock: Callable[[], float] = lambda: 7.0) -> tuple[Counts, QualityOfJoin]:
    counts = Counts(service.operators, clock=clock)
    return counts, counts.of(service.joins[0], QualityOfJoin)


def order(offset: int, key: bytes | None = str(ORDER).encode()) -> Sent:
    return Sent(offset, 0, key, b"{}", ())


def test_each_join_is_told_with_its_sums_and_its_partitions() -> None:
    counts, join = counted()
    join.of(2).counts.hits += 5
    join.of(0).counts.hits += 1
    seen = told(counts, {("joined", 0): 3, ("joined", 2): 1, ("another", 0): 9})
    assert {name: seen[name] for name in ("join", "into", "source", "input", "hits", "waiting")} == {
        "join": "joined", "into": "joined", "source": 'orders.by("customer")', "input": "shipping.orders.by.customer",
        "hits": 6, "waiting": 4,
    }  # fmt: skip
    assert [(each["partition"], each["hits"], each["waiting"]) for each in seen["partitions"]] == [(0, 1, 3), (2, 5, 1)]
    assert seen["partitions"][0]["samples"] == {"missing": [], "expired": [], "parked": []}


def test_a_sample_names_the_order_and_what_was_not_there_as_addresses_have_them() -> None:
    counts, join = counted()
    number = (-3).to_bytes(8, "big", signed=True)
    join.of(1).lack([LookedUp(order(41), (number, b"p1"), (None, None))])
    join.of(1).expire(LookedUp(order(42), (number, b"p1"), (b"{}", None)))
    join.of(1).dead_letter(LookedUp(order(43), (None, b"p1"), (None, b"{}")), "customer is null")
    join.of(1).dead_letter(LookedUp(order(44)), "no JSON")
    samples = told(counts)["partitions"][0]["samples"]
    assert samples["missing"] == [
        {
            "id": "shipping.orders.by.customer/1/41", "at": 7.0, "key": str(ORDER),
            "field": "customer", "reference": "-3", "table": "customers",
        }
    ]  # fmt: skip
    assert [(each["field"], each["reference"], each["table"]) for each in samples["expired"]] == [
        ("product_id", "p1", "products")
    ]
    assert [(each["id"][-2:], each["table"], each["reference"], each["cause"]) for each in samples["parked"]] == [
        ("44", None, None, "no JSON"),
        ("43", "customers", None, "customer is null"),
    ]


def test_an_order_that_is_read_again_is_one_sample_and_the_newest_come_first() -> None:
    now = 0.0
    counts, join = counted(lambda: now)
    for offset in (*range(NEWEST), 0, 1):
        now += 1
        join.of(0).lack([LookedUp(order(offset), (b"\0" * 8, b"p1"), (None, b"{}"))])
    missing = told(counts)["partitions"][0]["samples"]["missing"]
    assert [each["id"].rpartition("/")[2] for each in missing[:3]] == ["1", "0", str(NEWEST - 1)]
    assert len(missing) == NEWEST


def test_a_key_that_is_none_of_the_topic_is_shown_all_the_same() -> None:
    counts, join = counted()
    for offset, key in enumerate((None, b"<script>", b"\xff")):
        join.of(0).lack([LookedUp(order(offset, key), (b"short", b"\xfe"), (None, b"{}"))])
    missing = told(counts)["partitions"][0]["samples"]["missing"]
    assert [each["key"] for each in missing] == ["\\xff", "<script>", None]
    assert {each["reference"] for each in missing} == {"short"}


def test_joins_of_several_workers_are_one_with_sums_and_with_who_counted_each_partition() -> None:
    (one, first), (two, second) = counted(), counted()
    for join, partition, hits in ((first, 2, 5), (second, 2, 1), (second, 0, 3)):
        join.of(partition).counts.hits += hits
    (found,) = of_all({"one": [told(one, {(joined.name, 2): 4})], "two": [told(two, {(joined.name, 0): 1})]})
    assert (found["hits"], found["waiting"], found["into"]) == (9, 5, joined.name)
    assert [(each["partition"], each["worker"], each["hits"]) for each in found["partitions"]] == [
        (0, "two", 3),
        (2, "one", 5),
        (2, "two", 1),
    ]
