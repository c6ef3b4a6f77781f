"""A worker continues where one of older code ended: same directory, same group, from its position, exactly once."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.beside import Beside
from tests.support.older import IMPORTS, OlderWorker, unpacked
from tests.support.topics import COMPACTED, Sent, create, rows, send, until
from tests.support.workers import Worker, larder, none_left

PARTITIONS = 4
KEYS = 24
IMPORTS_NOW = """
from larder import DeadLetter, Decision, Drop, EventTopic, OwnerTopic, Row, Service, Wait, Wake
from larder.types import WakeUp
"""

# Every kind of operator and of internal topic: waiting, rekeyed events and rows, places, results, wake-ups, refusals.
SHOP = """
from datetime import UTC, datetime, timedelta


class Country(Row):
    country: str
    name: str


class Customer(Row):
    customer_id: str
    name: str
    revision: int


class Order(Row):
    order_id: str
    customer_id: str
    country: str


class Joined(Order):
    customer: Customer


class Taxed(Order):
    in_country: Country


class Address(Row):
    address_id: str
    customer_id: str
    street: str
    revision: int


class Label(Address):
    customer: Customer


class Moved(Row):
    customer_id: str
    before: str
    after: str


class Request(Row):
    request_id: str
    product_id: str


class Level(Row):
    product_id: str
    left: int = 10
    woken: int = 0
    revision: int = 0


class Reserved(Row):
    request_id: str
    product_id: str
    left: int


class Visits(Row):
    customer_id: str
    count: int = 0
    revision: int = 0


countries = OwnerTopic("{prefix}.countries", Country, key="country", owner="crm")
customers = OwnerTopic("{prefix}.customers", Customer, key="customer_id", revision="revision", owner="crm")
addresses = OwnerTopic("{prefix}.addresses", Address, key="address_id", revision="revision", owner="crm")
orders = EventTopic("{prefix}.orders", Order, key="order_id", owner="checkout")
requests = EventTopic("{prefix}.requests", Request, key="request_id", owner="checkout")
joined = EventTopic("{prefix}.joined", Joined, key="order_id", owner="{prefix}")
taxed = EventTopic("{prefix}.taxed", Taxed, key="order_id", owner="{prefix}")
moves = EventTopic("{prefix}.moves", Moved, key="customer_id", owner="{prefix}")
reserved = EventTopic("{prefix}.reserved", Reserved, key="request_id", owner="{prefix}")
labels = OwnerTopic("{prefix}.labels", Label, key="address_id", revision="revision", owner="{prefix}")
levels = OwnerTopic("{prefix}.levels", Level, key="product_id", revision="revision", owner="{prefix}")
visits = OwnerTopic("{prefix}.visits", Visits, key="customer_id", revision="revision", owner="{prefix}")

service = Service("{prefix}")
held = service.table(customers)
service.join(orders, service.global_table(countries).on("country", embed="in_country"), into=taxed)
service.join(orders.by("customer_id"), held, into=joined, missing=Wait(seconds=86400).then(DeadLetter))
service.join(addresses.by("customer_id"), held, into=labels, missing=Drop)


@service.on_change(held, into=moves)
def moved(old: Customer | None, new: Customer | None) -> Moved | None:
    return Moved(customer_id=new.customer_id, before=old.name if old else "", after=new.name)


@service.decide(requests.by("product_id"), state=service.table(levels), into=reserved)
def reserve(event: Request | WakeUp, level: Level | None) -> Decision:
    if isinstance(event, WakeUp):
        return Decision(rows=Level(product_id=level.product_id, left=level.left, woken=level.woken + 1))
    level = level or Level(product_id=event.product_id)
    if not level.left:
        return Decision(refuse="none left")
    left = level.left - 1
    return Decision(
        rows=Level(product_id=level.product_id, left=left, woken=level.woken),
        emit=Reserved(request_id=event.request_id, product_id=event.product_id, left=left),
        wake=Wake(event.product_id, datetime.now(UTC) + timedelta(seconds={wake})),
    )


@service.fold(orders.by("customer_id"), state=service.table(visits))
def visited(order: Order, before: Visits | None) -> Visits:
    return Visits(customer_id=order.customer_id, count=(before.count if before else 0) + 1)
"""


class Stage:
    """The topics, the published records, and the expected results."""

    def __init__(self, kafka: str, prefix: str, beside: Beside, directory: Path) -> None:
        self.kafka, self.prefix, self.beside, self.directory = kafka, prefix, beside, directory
        self.names: dict[str, list[str]] = {}
        self.orders: dict[str, str] = {}
        self.requests = 0
        self.code = unpacked(directory)
        owned = {self.name(each): PARTITIONS for each in ("countries", "customers", "addresses")}
        beside.call(create(kafka, owned, COMPACTED))
        beside.call(create(kafka, {self.name("orders"): PARTITIONS, self.name("requests"): PARTITIONS}))
        self.send("countries", [Sent(f"l{each}", {"country": f"l{each}", "name": f"n{each}"}) for each in range(3)])

    def name(self, topic: str) -> str:
        return f"{self.prefix}.{topic}"

    def older(self, name: str = "one") -> OlderWorker:
        return OlderWorker(self.code, *self._worker(IMPORTS), name)

    def newer(self, name: str = "one") -> Worker:
        return Worker(*self._worker(IMPORTS_NOW), name)

    def _worker(self, imports: str) -> tuple[str, Path, str, str]:
        text = imports + SHOP.replace("{prefix}", self.prefix).replace("{wake}", "4")
        return self.kafka, self.directory, text, self.prefix

    def scale(self, worker: Worker) -> dict[str, Any]:
        """Ask for six partitions, and return what the command printed."""
        ended = larder(
            "scale", self.prefix, "--partitions", "6", "--json",
            kafka=self.kafka, directory=self.directory, module=worker.module,
        )  # fmt: skip
        found: dict[str, Any] = msgspec.json.decode(ended.stdout)
        return found

    def send(self, topic: str, records: list[Sent]) -> None:
        self.beside.call(send(self.kafka, self.name(topic), records))

    def customers(self, numbers: range) -> None:
        """Publish another name of each of these customers."""
        for number in numbers:
            key = f"c{number}"
            self.names.setdefault(key, []).append(f"{key} {len(self.names[key])}" if key in self.names else key)
        named = [
            {"customer_id": f"c{each}", "name": self.names[f"c{each}"][-1], "revision": len(self.names[f"c{each}"])}
            for each in numbers
        ]
        self.send("customers", [Sent(row["customer_id"], row) for row in named])

    def addresses(self, revision: int) -> None:
        """Move each address to another of the customers that exist from the start."""
        given = [
            {"address_id": f"a{each}", "customer_id": f"c{(each + revision) % 12}", "street": "s", "revision": revision}
            for each in range(KEYS)
        ]
        self.send("addresses", [Sent(row["address_id"], row) for row in given])

    def work(self, customers: range) -> None:
        """Send one order of each customer, existing or not, and ten requests."""
        ordered = [
            {"order_id": f"o{len(self.orders) + each}", "customer_id": f"c{number}", "country": f"l{each % 3}"}
            for each, number in enumerate(customers)
        ]
        self.orders |= {row["order_id"]: row["customer_id"] for row in ordered}
        self.send("orders", [Sent(row["order_id"], row) for row in ordered])
        wanted = [f"r{self.requests + each}" for each in range(10)]
        self.requests += 10
        asked = [Sent(r, {"request_id": r, "product_id": f"p{n % 2}"}) for n, r in enumerate(wanted)]
        self.send("requests", asked)

    def until_rows(self, topic: str, count: int) -> list[dict[str, Any]]:
        """Wait until a topic has exactly `count` committed records."""

        async def enough() -> tuple[list[dict[str, Any]]] | None:
            found = await rows(self.kafka, self.name(topic))
            return (found,) if len(found) >= count else None

        (found,) = self.beside.call(until(enough, 40, f"{count} records in {topic}"))
        assert len(found) == count, f"{topic} has {len(found)} records, of which {count} are right"
        return found

    async def newest(self, topic: str, key: str) -> list[dict[str, Any]]:
        """Return the newest row of each key of a compacted topic."""
        return list({row[key]: row for row in await rows(self.kafka, self.name(topic))}.values())

    def judge(self, waiting: int = 0) -> None:
        """Check that nothing is lost, duplicated or wrong after all workers have read everything."""
        assert {row["order_id"] for row in self.until_rows("taxed", len(self.orders))} == self.orders.keys()
        for row in self.until_rows("joined", len(self.orders) - waiting):
            assert row["customer"]["customer_id"] == self.orders[row["order_id"]]
        moves = self.until_rows("moves", sum(map(len, self.names.values())))
        steps = ((key, before, after) for key, all_ in self.names.items() for before, after in pairwise(["", *all_]))
        assert Counter((row["customer_id"], row["before"], row["after"]) for row in moves) == Counter(steps)
        self.until_rows("reserved", min(self.requests, 20))
        self.until_rows("refusals", max(self.requests - 20, 0))

    def judge_rows(self, revision: int, *, woken: bool) -> None:
        """Wait until the owned rows match all orders, all requests, and the newest addresses."""

        async def right() -> bool:
            visits = await self.newest("visits", "customer_id")
            levels = await self.newest("levels", "product_id")
            labels = await self.newest("labels", "address_id")
            return (
                sum(visit["count"] for visit in visits) == len(self.orders)
                and all(level["left"] == 0 and (level["woken"] > 0 or not woken) for level in levels)
                and [label["revision"] for label in labels] == [revision] * KEYS
            )

        self.beside.call(until(right, 30, "the last rows of visits, levels and labels"))


@pytest.fixture
def stage(kafka: str, prefix: str, beside: Beside, tmp_path: Path) -> Stage:
    return Stage(kafka, prefix, beside, tmp_path)


@pytest.mark.parametrize("end", ["stopped", "killed"])
def test_a_worker_continues_where_one_of_the_older_code_ended(stage: Stage, end: str) -> None:
    older, newer = stage.older(), stage.newer()
    stage.customers(range(12))
    stage.addresses(revision=1)
    stage.work(range(14))
    with none_left(older, newer):
        older.start()
        older.until_caught_up()
        stage.judge(waiting=2)
        older.kill() if end == "killed" else older.stop()
        stage.work(range(12))
        newer.start()
        newer.until_caught_up()
        assert all(_read(each) <= 12 for each in newer.until_caught_up()["tables"]), "a table was read again"
        stage.judge(waiting=2)
        stage.customers(range(10, 14))
        stage.addresses(revision=2)
        stage.work(range(14))
        stage.judge()
        stage.judge_rows(revision=2, woken=True)
        assert newer.stop() == 0


def test_workers_of_the_older_code_and_of_this_share_a_group(stage: Stage) -> None:
    """As in a rolling update: the new worker joins, the older one leaves, and a new one starts on its directory."""
    older, beside, after = stage.older("one"), stage.newer("two"), stage.newer("one")
    stage.customers(range(12))
    stage.addresses(revision=1)
    with none_left(older, beside, after):
        older.start()
        older.until_caught_up()
        stage.work(range(14))
        beside.start()
        beside.until_running()
        stage.work(range(12))
        older.kill()
        stage.customers(range(8, 14))
        after.start()
        after.until_running()
        stage.addresses(revision=2)
        stage.work(range(14))
        stage.judge()
        stage.judge_rows(revision=2, woken=False)
        assert (beside.stop(), after.stop()) == (0, 0)


def test_the_older_code_is_kept_out_once_a_service_is_scaled(stage: Stage) -> None:
    """It would write by the former number, into topics that nobody reads any more."""
    older, newer = stage.older("one"), stage.newer("two")
    stage.customers(range(12))
    stage.addresses(revision=1)
    with none_left(older, newer):
        older.start()
        older.until_caught_up()
        newer.start()
        newer.until_running()
        stage.work(range(14))
        assert "one of an older version" in stage.scale(newer)["error"]
        assert older.stop() == 0
        assert stage.scale(newer)["growth"]["phase"] == "done"
        stage.work(range(12))
        older.start()
        stage.beside.call(until(lambda: not older.alive(), 30, "the end of the older worker"))
        assert older.process.returncode > 0
        stage.customers(range(8, 14))
        stage.addresses(revision=2)
        stage.work(range(14))
        stage.judge()
        stage.judge_rows(revision=2, woken=False)
        assert newer.stop() == 0


def _read(table: dict[str, Any]) -> int:
    return sum(table["counts"].values())
