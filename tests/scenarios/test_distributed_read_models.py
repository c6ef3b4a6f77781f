"""System 1, distributed read models: the full state in compacted topics, and read-only copies."""

from __future__ import annotations

import random
import re
import time
from collections import Counter
from itertools import permutations
from typing import Any

import pytest

from tests.scenarios.conftest import Broker, Start
from tests.support.stores import entry, open_stores, stored_entries, stored_rows
from tests.support.topics import COMPACTED, Sent, create, encoded, ends, existing, read, send, until_count
from tests.support.workers import Worker, until_read

FULL_STATE = """
    from larder import OwnerTopic, Row, Service

    class Customer(Row):
        customer_id: str
        name: str
        revision: int

    customers = OwnerTopic("{p}.customers", Customer, key="customer_id", revision="revision", owner="crm")

    everything, divided = Service("{p}.everything"), Service("{p}.divided")
    everything.global_table(customers)
    divided.table(customers)
"""


@pytest.mark.scenario("1.1")
async def test_every_follower_has_the_last_row_of_ten_thousand_keys_written_five_times(
    kafka: str, prefix: str, start: Start
) -> None:
    table, module = f"{prefix}.customers", FULL_STATE.format(p=prefix)
    await create(kafka, {table: 4}, COMPACTED)
    halves = [start(module, f"{prefix}.divided", name) for name in ("one", "two")]
    early = start(module, f"{prefix}.everything", "early")
    for half in halves:
        half.until(lambda status: len(status["tables"][0]["partitions"]) == 2, what="half of the partitions")
    early.until_caught_up()
    last = await _write_each_five_times(kafka, table)
    late = start(module, f"{prefix}.everything", "late")
    end = await ends(kafka, table)
    for follower in ([early], [late], halves):
        until_read(follower, table, end)
        for key in random.Random(1).sample(sorted(last), 20):  # noqa: S311 - nothing is secret here
            assert [row for status, row in _asked(follower, table, key) if status == 200] == [last[key]] * len(follower)
    for worker in (early, late):
        worker.stop()
    for half in halves:
        half.kill()  # a stopping worker would hand its partitions to the other, which would begin to read them
    expected = {key.encode(): encoded(row) for key, row in last.items()}
    assert stored_rows(early, table) == expected
    assert stored_rows(late, table) == expected
    one, two = (stored_rows(half, table) for half in halves)
    assert not one.keys() & two.keys()
    assert one | two == expected


async def _write_each_five_times(kafka: str, table: str) -> dict[str, dict[str, Any]]:
    """Write 10,000 keys five times each, in random order, and return the last row of each."""
    keys = [f"c{number}" for number in range(10_000)] * 5
    random.Random(0).shuffle(keys)  # noqa: S311 - nothing is secret here
    written: Counter[str] = Counter()
    records: list[tuple[str, dict[str, Any]]] = []
    for key in keys:
        written[key] += 1
        records.append((key, {"customer_id": key, "name": f"{key}, {written[key]}", "revision": written[key]}))
    await send(kafka, table, records)
    return dict(records)


def _asked(workers: list[Worker], table: str, key: str) -> list[tuple[int, Any]]:
    return [(status, body.get("row")) for status, body in (worker.row(table, key) for worker in workers)]


OWNER_AND_FOLLOWER = """
    from larder import DeadLetter, EventTopic, OwnerTopic, Row, Service

    class Country(Row):
        code: str
        continent: str

    class Signup(Row):
        customer_id: str
        code: str

    class Customer(Row):
        customer_id: str
        continent: str

    class Product(Row):
        product_id: str
        price: int

    countries = OwnerTopic("{p}.countries", Country, key="code", owner="geography")
    signups = EventTopic("{p}.signups", Signup, key="customer_id", owner="portal")
    customers = OwnerTopic("{p}.customers", Customer, key="customer_id", owner="{p}.crm")
    products = OwnerTopic("{p}.products", Product, key="product_id", owner="catalogue")

    crm = Service("{p}.crm")

    @crm.join(signups, crm.global_table(countries).on("code"), into=customers)
    def customer(signup: Signup, country: Country) -> Customer:
        return Customer(customer_id=signup.customer_id, continent=country.continent)

    booking = Service("{p}.booking")
    booking.global_table(customers)
    booking.table(products)
"""


@pytest.mark.scenario("1.2")
async def test_without_owner_and_broker_a_restarted_worker_serves_its_rows_with_their_age(
    broker: Broker, prefix: str, start: Start
) -> None:
    await broker.start()
    kafka, module = broker.address, OWNER_AND_FOLLOWER.format(p=prefix)
    await create(kafka, {f"{prefix}.countries": 2, f"{prefix}.products": 2}, COMPACTED)
    await create(kafka, {f"{prefix}.signups": 2})
    owner = start(module, f"{prefix}.crm", kafka=kafka)
    booking = [start(module, f"{prefix}.booking", name, kafka=kafka) for name in ("one", "two")]
    had = await _fill(kafka, prefix)
    _shared(booking, had)
    owner.stop()
    booking[0].kill()
    booking[0].start()
    _shared(booking, had)
    for worker in booking:
        _serves(worker, had, "caught up")
    stored = [_kept(worker, had) for worker in booking]
    assert stored[0] | stored[1] == had
    gone = time.time()
    await broker.stop()
    for worker in booking:
        worker.kill()
        worker.start()
    for worker, kept in zip(booking, stored, strict=True):
        worker.until_logged("waiting for the broker")
        asked = time.time()
        for age in _serves(worker, kept, "disconnected"):
            assert asked - gone <= age < asked - gone + 60
        for table, key in [*(had.keys() - kept.keys()), *_absent(prefix)]:
            status, answer = worker.row(table, key)
            # A partition that the worker had for a moment may have left a copy.
            assert status == 503 or (answer["row"], answer["state"]) == (had[table, key], "disconnected"), answer
    await broker.start()
    _shared(booking, had)
    for worker in booking:
        _serves(worker, had, "caught up")
        assert [worker.row(*absent)[0] for absent in _absent(prefix)] == [404, 404]


def _absent(prefix: str) -> list[tuple[str, str]]:
    return [(f"{prefix}.customers", "nobody"), (f"{prefix}.products", "nothing")]


def _shared(workers: list[Worker], had: dict[tuple[str, str], dict[str, Any]]) -> None:
    """Wait until each worker has its share, and returns every row."""

    def answers(worker: Worker, table: str) -> bool:
        rows = {key: row for (name, key), row in had.items() if name == table}
        _, answer = worker.get(f"/tables/{table}/rows?" + "&".join(f"key={key}" for key in rows)) or (0, {})
        return [each["row"] for each in answer.get("rows", ())] == list(rows.values())

    for worker in workers:
        worker.until(
            lambda status: [len(table["partitions"]) for table in status["tables"]] == [4, 1], what="its share"
        )
        for table in {table for table, _ in had}:
            worker.until(lambda _, worker=worker, table=table: answers(worker, table), what=f"all rows of {table}")
        worker.until_caught_up()


def _kept(worker: Worker, had: dict[tuple[str, str], dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the rows that this worker serves without a hop."""
    return {
        (table, key): row
        for (table, key), row in had.items()
        if (worker.get(f"/tables/{table}/rows/{key}?local=1") or (0,))[0] == 200
    }


async def _fill(kafka: str, prefix: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Send the inputs of the owners, and return the expected rows by table and key."""
    await send(kafka, f"{prefix}.countries", [("AT", {"code": "AT", "continent": "Europe"})])
    signups = [f"c{number}" for number in range(24)]
    products = [{"product_id": f"p{number}", "price": number} for number in range(16)]
    await send(kafka, f"{prefix}.signups", [(key, {"customer_id": key, "code": "AT"}) for key in signups])
    await send(kafka, f"{prefix}.products", [(row["product_id"], row) for row in products])
    customers = {(f"{prefix}.customers", key): {"customer_id": key, "continent": "Europe"} for key in signups}
    return customers | {(f"{prefix}.products", str(row["product_id"])): row for row in products}


def _serves(worker: Worker, had: dict[tuple[str, str], dict[str, Any]], state: str) -> list[float]:
    """Check that every row is served in this state, and return the ages of the copies in seconds."""
    ages = []
    for (table, key), row in had.items():
        status, answer = worker.row(table, key)
        assert (status, answer["row"], answer["state"]) == (200, row, state)
        ages.append(float(answer["freshness_s"]))
    return ages


CHAIN = """
    from larder import DeadLetter, EventTopic, OwnerTopic, Row, Service, Wait

    class Signup(Row):
        customer_id: str
        code: str

    class Country(Row):
        code: str
        tax: int

    class Customer(Row):
        customer_id: str
        tax: int

    class Order(Row):
        order_id: str
        customer_id: str

    class Shipment(Order):
        customer: Customer

    class Bill(Row):
        order_id: str
        tax: int

    signups = EventTopic("{p}.signups", Signup, key="customer_id", owner="portal")
    countries = OwnerTopic("{p}.countries", Country, key="code", owner="geography")
    customers = OwnerTopic("{p}.customers", Customer, key="customer_id", owner="{p}.crm")
    orders = EventTopic("{p}.orders", Order, key="order_id", owner="checkout")
    shipments = EventTopic("{p}.shipments", Shipment, key="order_id", owner="{p}.shipping")
    bills = EventTopic("{p}.bills", Bill, key="order_id", owner="{p}.billing")

    patience = Wait(seconds=60).then(DeadLetter)
    crm, shipping, billing = Service("{p}.crm"), Service("{p}.shipping"), Service("{p}.billing")

    @crm.join(signups, crm.global_table(countries).on("code"), into=customers, missing=patience)
    def customer(signup: Signup, country: Country) -> Customer:
        return Customer(customer_id=signup.customer_id, tax=country.tax)

    shipping.join(orders, shipping.global_table(customers).on("customer_id"), into=shipments, missing=patience)

    @billing.join(shipments.by("customer_id"), billing.table(customers), into=bills, missing=patience)
    def bill(shipment: Shipment, customer: Customer) -> Bill:
        return Bill(order_id=shipment.order_id, tax=customer.tax)
"""


@pytest.mark.scenario("1.3")
@pytest.mark.parametrize("order", list(permutations(["crm", "shipping", "billing"])), ids="-".join)
async def test_services_started_in_any_order_reach_the_same_state(
    kafka: str, prefix: str, start: Start, order: tuple[str, ...]
) -> None:
    module = CHAIN.format(p=prefix)
    workers = {}
    for number, service in enumerate(order):
        workers[service] = start(module, f"{prefix}.{service}")
        workers[service].until_logged("recovering|running|waiting for topics")
        if number == 0:
            await _order_before_anything_else_is_there(kafka, prefix)
    bills = await until_count(kafka, f"{prefix}.bills", 30)
    assert sorted(bills, key=lambda bill: bill["order_id"]) == [
        {"order_id": f"o{number:02}", "tax": 20} for number in range(30)
    ]
    for worker, tables in ((workers["shipping"], 1), (workers["billing"], 1), (workers["crm"], 1)):
        status = worker.until_caught_up()
        assert len(status["tables"]) == tables
    for worker in (workers["shipping"], workers["billing"]):
        assert [worker.row(f"{prefix}.customers", f"c{number}")[1]["row"] for number in range(10)] == [
            {"customer_id": f"c{number}", "tax": 20} for number in range(10)
        ]


async def _order_before_anything_else_is_there(kafka: str, prefix: str) -> None:
    """Send thirty orders, then their ten customers, and last the country of the customers."""
    await create(kafka, {f"{prefix}.orders": 2, f"{prefix}.signups": 2})
    await create(kafka, {f"{prefix}.countries": 1}, COMPACTED)
    orders = [{"order_id": f"o{number:02}", "customer_id": f"c{number % 10}"} for number in range(30)]
    await send(kafka, f"{prefix}.orders", [(order["order_id"], order) for order in orders])
    signups = [{"customer_id": f"c{number}", "code": "AT"} for number in range(10)]
    await send(kafka, f"{prefix}.signups", [(signup["customer_id"], signup) for signup in signups])
    await send(kafka, f"{prefix}.countries", [("AT", {"code": "AT", "tax": 20})])


EACH_OTHER = """
    from larder import EventTopic, OwnerTopic, PassOn, Row, Service

    class Order(Row):
        order_id: str

    class Payment(Row):
        order_id: str

    class Placed(Order):
        payment: Payment | None

    class Paid(Payment):
        placed: Placed | None

    requested = EventTopic("{p}.requested", Order, key="order_id", owner="portal")
    received = EventTopic("{p}.received", Payment, key="order_id", owner="bank")
    placed = OwnerTopic("{p}.placed", Placed, key="order_id", owner="{p}.orders")
    paid = OwnerTopic("{p}.paid", Paid, key="order_id", owner="{p}.payments")

    orders, payments = Service("{p}.orders"), Service("{p}.payments")
    orders.join(requested.by("order_id"), orders.table(paid).on("order_id", embed="payment"), into=placed,
                missing=PassOn)
    payments.join(received, payments.global_table(placed).on("order_id"), into=paid, missing=PassOn)
"""


@pytest.mark.scenario("1.3")
async def test_two_services_that_each_follow_a_topic_of_the_other_do_not_wait_for_each_other(
    kafka: str, prefix: str, start: Start
) -> None:
    await create(kafka, {f"{prefix}.requested": 2, f"{prefix}.received": 2})
    orders, payments = (start(EACH_OTHER.format(p=prefix), f"{prefix}.{name}") for name in ("orders", "payments"))
    orders.until_caught_up()
    payments.until_caught_up()
    await send(kafka, f"{prefix}.requested", [("o1", {"order_id": "o1"})])
    payments.until(lambda status: status["tables"][0]["rows"] == 1, what="the order")
    await send(kafka, f"{prefix}.received", [("o1", {"order_id": "o1"})])
    orders.until(lambda status: status["tables"][0]["rows"] == 1, what="its payment")


@pytest.mark.scenario("1.3")
async def test_a_worker_started_before_the_broker_waits_for_it(broker: Broker, prefix: str, start: Start) -> None:
    worker = start(FULL_STATE.format(p=prefix), f"{prefix}.everything", kafka=broker.address)
    worker.until_logged(f"waiting for the broker at {broker.address}")
    status, answer = worker.row(f"{prefix}.customers", "c1")
    assert (status, "no broker" in answer["found"]) == (503, True)
    await broker.start()
    worker.until_logged(f"waiting for topics of other owners: {prefix}.customers")
    await create(broker.address, {f"{prefix}.customers": 4}, COMPACTED)
    row = {"customer_id": "c1", "name": "Ada", "revision": 1}
    await send(broker.address, f"{prefix}.customers", [("c1", row)])
    worker.until(lambda status: status["tables"][0]["rows"] == 1, what="the row")
    assert worker.row(f"{prefix}.customers", "c1")[1]["row"] == row


TWO_OWNERS = """
    from larder import EventTopic, OwnerTopic, Row, Service

    class Signup(Row):
        customer_id: str

    class Customer(Row):
        customer_id: str
        source: dict

    class Source(Row):
        customer_id: str

    signups = EventTopic("{p}.signups", Signup, key="customer_id")
    sources = OwnerTopic("{p}.sources", Source, key="customer_id", owner="elsewhere")
    crms = OwnerTopic("{p}.customers", Customer, key="customer_id", owner="{p}.crm")
    {second}

    crm, sales = Service("{p}.crm"), Service("{p}.sales")
    for service, customers in ((crm, crms), (sales, second)):
        held = service.global_table(sources)
        service.join(signups, held.on("customer_id", embed="source"), into=customers)
"""


@pytest.mark.scenario("1.4")
@pytest.mark.parametrize("service", ["crm", "sales"])
async def test_a_second_owner_of_a_topic_is_refused_naming_both(
    kafka: str, prefix: str, start: Start, service: str
) -> None:
    second = f'second = OwnerTopic("{prefix}.customers", Customer, key="customer_id", owner="{prefix}.sales")'
    worker = start(TWO_OWNERS.format(p=prefix, second=second), f"{prefix}.{service}")
    assert worker.exit_code() == 2
    (said,) = worker.text.splitlines()
    assert f"topic {prefix}.customers: a topic requires one owner" in said
    assert f"found {prefix}.crm and {prefix}.sales" in said
    assert not await existing(kafka, prefix)


@pytest.mark.scenario("1.4")
async def test_a_service_that_publishes_to_a_topic_of_another_owner_is_refused(prefix: str, start: Start) -> None:
    worker = start(TWO_OWNERS.format(p=prefix, second="second = crms"), f"{prefix}.sales")
    assert worker.exit_code() == 2
    (said,) = worker.text.splitlines()
    assert f"service {prefix}.sales into {prefix}.customers: only the owner of a topic writes it" in said
    assert f"found owner {prefix}.crm" in said


@pytest.mark.scenario("1.4")
async def test_a_follower_cannot_write_to_the_table_that_it_follows(kafka: str, prefix: str, start: Start) -> None:
    table, row = f"{prefix}.customers", {"customer_id": "c1", "name": "Ada", "revision": 1}
    await create(kafka, {table: 4}, COMPACTED)
    await send(kafka, table, [("c1", row)])
    worker = start(FULL_STATE.format(p=prefix), f"{prefix}.everything")
    worker.until_caught_up()
    for method in ("PUT", "POST", "PATCH", "DELETE"):
        status, _ = worker.get(f"/tables/{table}/rows/c1", method) or (0, {})
        assert status == 405
    assert worker.row(table, "c1")[1]["row"] == row
    assert sum((await ends(kafka, table)).values()) == 1


INDEXED = """
    from larder import OwnerTopic, Row, Service

    class Customer(Row):
        customer_id: str
        country: str
        city: str
        revision: int

    customers = OwnerTopic("{p}.customers", Customer, key="customer_id", revision="revision", owner="crm",
                           indexes={indexes})

    everything, divided = Service("{p}.everything"), Service("{p}.divided")
    everything.global_table(customers)
    divided.table(customers)
"""


def _customer(key: str, revision: int) -> dict[str, Any]:
    return {"customer_id": key, "country": "AT", "city": f"Vienna {revision}", "revision": revision}


@pytest.mark.scenario("1.5")
async def test_a_deleted_row_is_gone_everywhere_and_a_late_older_event_does_not_restore_it(
    kafka: str, prefix: str, start: Start
) -> None:
    table, module = f"{prefix}.customers", INDEXED.format(p=prefix, indexes=["country", "city"])
    keys = [f"c{number}" for number in range(20)]
    deleted, kept = keys[:10], keys[10:]
    await create(kafka, {table: 2}, COMPACTED)
    await send(kafka, table, [(key, _customer(key, 2)) for key in keys])
    services = [
        [start(module, f"{prefix}.everything")],
        [start(module, f"{prefix}.divided", name) for name in ("one", "two")],
    ]
    await _listed_alone(kafka, table, services, keys)
    await send(kafka, table, [(key, None) for key in deleted])
    await _all_gone(kafka, table, services, deleted, kept)
    await send(kafka, table, [(key, _customer(key, 1)) for key in deleted])
    await _all_gone(kafka, table, services, deleted, kept)
    workers = [worker for service in services for worker in service]
    for worker in workers:
        worker.kill()
        worker.start()
    await send(kafka, table, [(key, _customer(key, 2)) for key in deleted])
    await _all_gone(kafka, table, services, deleted, kept)
    entries = {entry(*found, key) for key in kept for found in (("country", "AT"), ("city", "Vienna 2"))}
    for service in services:
        stores = [open_stores(worker) for worker in service]
        for worker in service:
            worker.kill()  # a stopping worker would hand its partitions to the other, which would begin to read them
        rows, found = set[bytes](), set[bytes]()
        for worker, only in zip(service, stores, strict=True):
            rows |= stored_rows(worker, table, only).keys()
            found |= stored_entries(worker, table, only)
        assert (rows, found) == ({key.encode() for key in kept}, entries)


async def _all_gone(kafka: str, table: str, services: list[list[Worker]], deleted: list[str], kept: list[str]) -> None:
    """Check on every worker that the deleted keys get 404, are not listed, and are null among many."""
    await _listed_alone(kafka, table, services, kept)
    many = "&".join(f"key={key}" for key in deleted)
    for worker in (worker for service in services for worker in service):
        assert {worker.row(table, key)[0] for key in deleted} == {404}
        _, answer = worker.get(f"/tables/{table}/rows?{many}") or (0, {})
        assert [each["row"] for each in answer["rows"]] == [None] * len(deleted)


async def _listed_alone(kafka: str, table: str, services: list[list[Worker]], keys: list[str]) -> None:
    """Check that every worker has exactly these rows: by key, by either index, and in lists."""
    end = await ends(kafka, table)
    for service in services:
        share = 2 // len(service)
        until_read(service, table, end)
        for worker in service:
            worker.until(lambda status, share=share: len(status["tables"][0]["partitions"]) == share, what="its share")
            worker.until_caught_up()
        for worker in service:
            assert {worker.row(table, key)[0] for key in keys} == {200}
            for query in ("from=", "prefix=c", "index=country&value=AT", "index=city&value=Vienna%202"):
                status, answer = worker.get(f"/tables/{table}/rows?{query}") or (0, {})
                assert (status, sorted(each["key"] for each in answer["rows"])) == (200, sorted(keys)), query


@pytest.mark.scenario("1.5")
async def test_a_deleted_row_comes_back_with_a_newer_event(kafka: str, prefix: str, start: Start) -> None:
    table = f"{prefix}.customers"
    await create(kafka, {table: 1}, COMPACTED)
    deletion = Sent("c1", None, headers=[("larder.revision", b"5")])
    await send(kafka, table, [("c1", _customer("c1", 4)), deletion, ("c1", _customer("c1", 5))])
    worker = start(INDEXED.format(p=prefix, indexes=["city"]), f"{prefix}.everything")
    worker.until_caught_up()
    assert worker.row(table, "c1")[0] == 404
    await send(kafka, table, [("c1", _customer("c1", 6))])
    until_read([worker], table, await ends(kafka, table))
    assert worker.row(table, "c1")[1]["row"] == _customer("c1", 6)


@pytest.mark.scenario("1.6")
async def test_a_message_that_changes_nothing_triggers_nothing(kafka: str, prefix: str, start: Start) -> None:
    table = f"{prefix}.customers"
    await create(kafka, {table: 2}, COMPACTED)
    worker = start(INDEXED.format(p=prefix, indexes=["city"]), f"{prefix}.everything")
    for revision in (1, 2, 3):
        await send(kafka, table, [(f"c{key}", _customer(f"c{key}", 1) | {"revision": revision}) for key in range(50)])
    until_read([worker], table, await ends(kafka, table))
    assert _counts(worker) == {"new": 50, "unchanged": 100}
    late = [("c7", _customer("c7", 2))]
    await send(kafka, table, [*late, ("c8", _customer("c8", 4))])
    until_read([worker], table, await ends(kafka, table))
    assert _counts(worker) == {"new": 50, "changed": 1, "unchanged": 100, "stale": 1}
    assert worker.row(table, "c7")[1]["row"] == _customer("c7", 1) | {"revision": 3}


def _counts(worker: Worker) -> dict[str, int]:
    """Return the counts of the records of the worker's table since its start, without zeros."""
    _, status = worker.get("/services") or (0, {})
    return {name: count for name, count in status["tables"][0]["counts"].items() if count}


CAUSES = """
    from larder import EventTopic, OwnerTopic, PassOn, Row, Service

    class Customer(Row):
        customer_id: str

    class Moved(Row):
        customer_id: str
        city: str
        cause: str

    class Noted(Moved):
        customer: Customer | None

    customers = OwnerTopic("{p}.customers", Customer, key="customer_id", owner="crm")
    moved = {kind}("{p}.moved", Moved, key="customer_id", owner="portal")
    noted = EventTopic("{p}.noted", Noted, key="customer_id")
    service = Service("{p}.notes")
    service.join(moved, service.global_table(customers).on("customer_id"), into=noted, missing=PassOn)
"""


@pytest.mark.scenario("1.6")
async def test_a_topic_whose_messages_have_a_cause_keeps_every_one(kafka: str, prefix: str, start: Start) -> None:
    await create(kafka, {f"{prefix}.customers": 1}, COMPACTED)
    await create(kafka, {f"{prefix}.moved": 1})
    moved = [{"customer_id": "c1", "city": "Graz", "cause": cause} for cause in ("visit", "visit", "letter")]
    await send(kafka, f"{prefix}.moved", [("c1", event) for event in moved])
    start(CAUSES.format(p=prefix, kind="EventTopic"), f"{prefix}.notes")
    noted = await until_count(kafka, f"{prefix}.noted", 3)
    assert noted == [event | {"customer": None} for event in moved]


@pytest.mark.scenario("1.6")
async def test_a_cause_on_a_compacted_topic_is_refused_with_the_reason(kafka: str, prefix: str, start: Start) -> None:
    worker = start(CAUSES.format(p=prefix, kind="OwnerTopic"), f"{prefix}.notes")
    assert worker.exit_code() == 2
    (said,) = worker.text.splitlines()
    assert f"topic {prefix}.moved: " in said
    assert "compaction and deduplication would lose causes" in said
    assert not await existing(kafka, prefix)


GROWN = """
    from larder import EventTopic, OwnerTopic, Row, Service

    class Customer(Row):
        customer_id: str
        points: int
        name: str

    class Order(Row):
        order_id: str
        customer_id: str

    class Enriched(Order):
        customer: Customer

    customers = OwnerTopic("{p}.customers", Customer, key="customer_id", owner="crm")
    orders = EventTopic("{p}.orders", Order, key="customer_id", owner="checkout")
    enriched = EventTopic("{p}.enriched", Enriched, key="order_id")
    everything, divided = Service("{p}.everything"), Service("{p}.divided")
    everything.global_table(customers)
    divided.join(orders, divided.table(customers), into=enriched)
"""


def _member(key: str, **fields: Any) -> dict[str, Any]:
    return {"customer_id": key, "points": 1, "name": key} | fields


@pytest.mark.scenario("1.7")
async def test_a_field_that_an_owner_adds_survives_and_a_changed_or_removed_one_is_a_dead_letter(
    kafka: str, prefix: str, start: Start
) -> None:
    table, service, module = f"{prefix}.customers", f"{prefix}.divided", GROWN.format(p=prefix)
    await create(kafka, {table: 2}, COMPACTED)
    await create(kafka, {f"{prefix}.orders": 2})
    whole, *halves = workers = [
        start(module, f"{prefix}.everything"),
        *(start(module, service, name) for name in ("one", "two")),
    ]
    for half in halves:
        half.until_shared(1)
    grown = {key: _member(key, loyalty={"level": "gold"}) for key in ("c1", "c2", "c3", "c4")}
    await send(kafka, table, [("c1", _member("c1")), *grown.items()])
    end = await ends(kafka, table)
    until_read([whole], table, end)
    until_read(halves, table, end)
    await send(kafka, f"{prefix}.orders", [(key, {"order_id": f"o-{key}", "customer_id": key}) for key in grown])
    assert {row["customer_id"]: row["customer"] for row in await until_count(kafka, f"{prefix}.enriched", 4)} == grown
    bad = {
        "c1": (_member("c1", points="many"), "Expected `int`, got `str`"),
        "c2": ({"customer_id": "c2", "points": 2}, "missing required field `name`"),
        "new": (_member("new", points=None), "Expected `int`, got `null`"),
    }
    await send(kafka, table, [(key, row) for key, (row, _) in bad.items()])
    lie = {(each.key or b"").decode(): each for each in await read(kafka, table)}
    end = await ends(kafka, table)
    until_read([whole], table, end)
    until_read(halves, table, end)
    for worker in workers:
        assert [worker.row(table, key)[1].get("row") for key in grown] == list(grown.values())
        assert worker.row(table, "new")[0] == 404
    assert (whole.get("/services") or (0, {}))[1]["tables"][0]["parked"] == len(bad)
    for key, (row, cause) in bad.items():
        place = f"{table}/{lie[key].partition}/{lie[key].offset}"
        for half in halves:
            half.until(lambda _, half=half, place=place: _letter(half, place)[0] == 200, what=f"letter {place}")
            _, letter = _letter(half, place)
            assert cause in letter["cause"]
            assert letter["value"] == row
            _, listed = half.get(f"/dead-letters?key={key}") or (0, {})
            assert [each["id"] for each in listed["letters"]] == [place]
    for worker in (whole, next(half for half in halves if "cannot be used" in half.text)):
        said = worker.until_logged(rf"table {table}: the record at offset \d+ of partition \d cannot be used.*")
        offset, partition = map(int, re.findall(r"offset (\d+) of partition (\d)", said)[0])
        at = {(each.partition, each.offset): (each.key or b"").decode() for each in lie.values()}
        assert bad[at[partition, offset]][1] in said
    for worker in workers:
        assert worker.stop() == 0


def _letter(worker: Worker, place: str) -> tuple[int, dict[str, Any]]:
    return worker.get(f"/dead-letters/{place}") or (0, {})


@pytest.mark.scenario("1.8")
async def test_a_new_index_is_built_from_local_rows_while_the_table_serves(
    kafka: str, prefix: str, start: Start
) -> None:
    table, service = f"{prefix}.customers", f"{prefix}.everything"
    rows = {f"c{number}": _customer(f"c{number}", number % 100) for number in range(30_000)}
    await create(kafka, {table: 2}, COMPACTED)
    await send(kafka, table, rows.items())
    worker = start(INDEXED.format(p=prefix, indexes=["country"]), service)
    until_read([worker], table, await ends(kafka, table))
    worker.stop()
    assert stored_entries(worker, table) == {entry("country", "AT", key) for key in rows}
    again = start(INDEXED.format(p=prefix, indexes=["country", "city"]), service)
    again.until(lambda status: status["tables"][0]["building"] == ["city"], what="an index being built")
    assert again.row(table, "c29999")[1]["row"] == rows["c29999"]
    changed = {f"c{number}": _customer(f"c{number}", 100) for number in (0, 15_000, 29_999, 30_000)}
    await send(kafka, table, changed.items())
    again.until_logged(f"table {table}: index city is complete")
    until_read([again], table, await ends(kafka, table))
    again.until(lambda status: status["tables"][0]["building"] == [], what="no index being built")
    assert _counts(again) == {"new": 1, "changed": 3}
    again.stop()
    assert stored_entries(again, table) == {
        entry(index, row[index], key) for key, row in (rows | changed).items() for index in ("country", "city")
    }
