"""System 4, global and co-partitioned lookups: orders are joined with their rows, in any partition."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter, defaultdict
from typing import Any

import pytest
from aiokafka.structs import ConsumerRecord

from larder.kafka.partitioner import partition_of
from tests.scenarios.conftest import QUICK, Start
from tests.support.topics import COMPACTED, create, encoded, ends, existing, fill, read, rows, send, until, until_count
from tests.support.workers import Worker, until_read

BOTH_WAYS = """
    from larder import EventTopic, OwnerTopic, Row, Service

    class Customer(Row):
        customer_id: str
        name: str
        revision: int

    class Order(Row):
        order_id: str
        customer_id: str

    class Enriched(Order):
        customer: Customer

    customers = OwnerTopic("{p}.customers", Customer, key="customer_id", revision="revision", owner="crm")
    orders = EventTopic("{p}.orders", Order, key="order_id", owner="checkout")
    shipped = EventTopic("{p}.shipped", Enriched, key="order_id")
    fulfilled = EventTopic("{p}.fulfilled", Enriched, key="order_id")

    shipping, fulfilment = Service("{p}.shipping"), Service("{p}.fulfilment")
    shipping.join(orders, shipping.global_table(customers).on("customer_id"), into=shipped)
    fulfilment.join(orders.by("customer_id"), fulfilment.table(customers), into=fulfilled)
"""


def _customer(number: int, revision: int) -> dict[str, Any]:
    return {"customer_id": f"c{number}", "name": f"c{number}, {revision}", "revision": revision}


def _orders(count: int, first: int = 0) -> list[dict[str, Any]]:
    return [{"order_id": f"o{number}", "customer_id": f"c{number % 100}"} for number in range(first, first + count)]


async def _send_rows(kafka: str, topic: str, key: str, values: list[dict[str, Any]]) -> None:
    await send(kafka, topic, [(row[key], row) for row in values])


@pytest.mark.scenario("4.1")
async def test_global_and_copartitioned_joins_make_the_same_orders(kafka: str, prefix: str, start: Start) -> None:
    module, orders = BOTH_WAYS.format(p=prefix), _orders(3_000)
    await create(kafka, {f"{prefix}.customers": 4}, COMPACTED)
    await create(kafka, {f"{prefix}.orders": 4})
    await _send_rows(kafka, f"{prefix}.customers", "customer_id", [_customer(number, 1) for number in range(100)])
    for service in ("shipping", "fulfilment"):
        for name in ("one", "two"):
            start(module, f"{prefix}.{service}", name)
    await _send_rows(kafka, f"{prefix}.orders", "order_id", orders)
    shipped = await until_count(kafka, f"{prefix}.shipped", 3_000, by="order_id")
    fulfilled = await until_count(kafka, f"{prefix}.fulfilled", 3_000, by="order_id")
    expected = {encoded(order | {"customer": _customer(int(order["customer_id"][1:]), 1)}) for order in orders}
    assert {encoded(order) for order in shipped} == expected
    assert {encoded(order) for order in fulfilled} == expected
    assert not await rows(kafka, f"{prefix}.shipping.dead-letters")
    assert not await rows(kafka, f"{prefix}.fulfilment.dead-letters")


@pytest.mark.scenario("4.1")
@pytest.mark.parametrize(("service", "joined", "shared"), [("shipping", "shipped", 2), ("fulfilment", "fulfilled", 4)])
async def test_while_rows_change_each_order_meets_a_row_no_older_than_the_measured_end(
    kafka: str, prefix: str, start: Start, service: str, joined: str, shared: int
) -> None:
    customers, orders = f"{prefix}.customers", f"{prefix}.orders"
    await create(kafka, {customers: 4}, COMPACTED)
    await create(kafka, {orders: 4})
    for revision in (1, 2, 3):
        await _send_rows(kafka, customers, "customer_id", [_customer(number, revision) for number in range(100)])
    await _send_rows(kafka, orders, "order_id", _orders(1_000))
    workers = [start(BOTH_WAYS.format(p=prefix), f"{prefix}.{service}", name) for name in ("one", "two")]
    for worker in workers:
        worker.until_shared(shared)
    await until_count(kafka, f"{prefix}.{joined}", 1_000, by="order_id")
    for revision in range(4, 9):
        await asyncio.gather(
            _send_rows(kafka, customers, "customer_id", [_customer(number, revision) for number in range(100)]),
            _send_rows(kafka, orders, "order_id", _orders(400, first=revision * 1_000)),
        )
    end = await ends(kafka, customers)
    for holders in [[worker] for worker in workers] if service == "shipping" else [workers]:
        until_read(holders, customers, end)
    await _send_rows(kafka, orders, "order_id", _orders(100, first=9_000))
    enriched = await until_count(kafka, f"{prefix}.{joined}", 3_100, by="order_id")
    assert len({order["order_id"] for order in enriched}) == 3_100
    for order in enriched:
        revision, number = order["customer"]["revision"], int(order["order_id"][1:])
        assert order["customer"] == _customer(int(order["customer_id"][1:]), revision)
        assert 3 <= revision <= 8
        assert revision == 8 or number < 9_000


UNEQUAL = """
    from larder import EventTopic, OwnerTopic, Row, Service

    class Customer(Row):
        customer_id: str

    class Visit(Row):
        customer_id: str
        page: str

    class Greeting(Visit):
        customer: Customer

    customers = OwnerTopic("{p}.customers", Customer, key="customer_id", owner="crm", partitions={declared})
    visits = EventTopic("{p}.visits", Visit, key="customer_id", owner="portal", partitions=4)
    greetings = EventTopic("{p}.greetings", Greeting, key="customer_id")
    service = Service("{p}.greeter")
    service.join(visits, service.table(customers), into=greetings)
"""


@pytest.mark.scenario("4.2")
@pytest.mark.parametrize("where", ["in the declarations", "on the broker"])
async def test_different_partition_counts_are_joined_in_one_of_them(
    kafka: str, prefix: str, start: Start, where: str
) -> None:
    """The owners of both topics choose their counts: the visits pass through the count of the customers."""
    declared = 4 if where == "on the broker" else 6
    await create(kafka, {f"{prefix}.customers": 6}, COMPACTED)
    await create(kafka, {f"{prefix}.visits": 4})
    people = [f"c{number}" for number in range(20)]
    await send(kafka, f"{prefix}.customers", [(each, {"customer_id": each}) for each in people])
    worker = start(UNEQUAL.format(p=prefix, declared=declared), f"{prefix}.greeter")
    worker.until_caught_up()
    await send(kafka, f"{prefix}.visits", [(each, {"customer_id": each, "page": "/"}) for each in people])
    greeted = await until_count(kafka, f"{prefix}.greetings", len(people))
    assert {row["customer"]["customer_id"] for row in greeted} == set(people)
    assert f"{prefix}.greeter.{prefix}.visits.by.customer_id" in await existing(kafka, prefix)


FOREIGN = """
    import uuid

    from larder import EventTopic, OwnerTopic, Row, Service

    class Customer(Row):
        customer_id: uuid.UUID

    class Order(Row):
        order_id: uuid.UUID
        customer_id: uuid.UUID

    class Enriched(Order):
        customer: Customer

    customers = OwnerTopic("{p}.customers", Customer, key="customer_id", key_type=uuid.UUID, owner="crm")
    orders = EventTopic("{p}.orders", Order, key="order_id", key_type=uuid.UUID, owner="checkout")
    enriched = EventTopic("{p}.enriched", Enriched, key="order_id", key_type=uuid.UUID)
    service = Service("{p}.shipping")
    service.join(orders, service.global_table(customers).on("customer_id"), into=enriched)
"""


async def test_uuid_keys_in_capitals_and_braces_are_joined_and_results_have_them_in_one_form(
    kafka: str, prefix: str, start: Start
) -> None:
    await create(kafka, {f"{prefix}.customers": 3}, COMPACTED)
    await create(kafka, {f"{prefix}.orders": 2})
    ids = [str(uuid.UUID(int=0xABCDEF << 64 | number)) for number in range(20)]
    customers = [(f"{{{each.upper()}}}" if number % 2 else each.upper(), each) for number, each in enumerate(ids)]
    await send(kafka, f"{prefix}.customers", [(key, {"customer_id": each.upper()}) for key, each in customers])
    orders = [(each.upper(), {"order_id": each.upper(), "customer_id": each}) for each in ids]
    await send(kafka, f"{prefix}.orders", orders)
    start(FOREIGN.format(p=prefix), f"{prefix}.shipping")
    await until_count(kafka, f"{prefix}.enriched", 20, by="order_id")
    made = await read(kafka, f"{prefix}.enriched")
    assert sorted(record.key or b"" for record in made) == sorted(each.encode() for each in ids)


REKEYED = """
    from larder import DeadLetter, EventTopic, OwnerTopic, Row, Service

    class Customer(Row):
        customer_id: str

    class Step(Row):
        order_id: str
        number: int
        customer_id: str | None = None
        note: str = ""

    class Known(Step):
        customer: Customer

    customers = OwnerTopic("{p}.customers", Customer, key="customer_id", owner="crm")
    steps = EventTopic("{p}.steps", Step, key="order_id", owner="checkout")
    known = EventTopic("{p}.known", Known, key="order_id")
    service = Service("{p}.tracking")
    service.join(steps.by("customer_id"), service.table(customers), into=known)
"""


@pytest.mark.scenario("4.3")
async def test_rekeying_keeps_the_order_within_a_key_and_dead_letters_records_without_it(
    kafka: str, prefix: str, start: Start
) -> None:
    await create(kafka, {f"{prefix}.customers": 3}, COMPACTED)
    await create(kafka, {f"{prefix}.steps": 2})
    customers = [{"customer_id": f"c{number}"} for number in range(10)]
    await _send_rows(kafka, f"{prefix}.customers", "customer_id", customers)
    for name in ("one", "two"):
        start(REKEYED.format(p=prefix), f"{prefix}.tracking", name)
    # Some steps are so long that a key's records are spread over many batches.
    steps = [
        {"order_id": f"o{number % 50}", "number": number, "customer_id": f"c{number % 10}", "note": "." * size}
        for number in range(3_000)
        for size in [60_000 if number % 37 == 0 else number % 7]
    ]
    homeless = [{"order_id": "o1", "number": 3_000, "customer_id": None}, {"order_id": "o2", "number": 3_001}]
    await _send_rows(kafka, f"{prefix}.steps", "order_id", steps + homeless)
    await until_count(kafka, f"{prefix}.known", 3_000, by="number")
    sent = await read(kafka, f"{prefix}.steps")
    for topic in (f"{prefix}.tracking.{prefix}.steps.by.customer_id", f"{prefix}.known"):
        assert _numbers(await read(kafka, topic)) == _numbers(sent)
    for record in await read(kafka, f"{prefix}.tracking.{prefix}.steps.by.customer_id"):
        step = steps[_number(record)]
        assert record.key == step["order_id"].encode()
        assert record.partition == partition_of(step["customer_id"].encode(), 3)
    letters = await read(kafka, f"{prefix}.tracking.dead-letters")
    assert sorted(_number(record) for record in letters) == [3_000, 3_001]
    assert all(b"customer_id is null" in dict(record.headers)["larder.cause"] for record in letters)


def _number(record: ConsumerRecord) -> int:
    return int(record.value.partition(b'"number":')[2].partition(b",")[0].rstrip(b"}"))


def _numbers(records: list[ConsumerRecord]) -> dict[bytes, list[int]]:
    """Return the steps of each order with a customer, in the order of its partition."""
    found = defaultdict(list)
    for record in records:
        if _number(record) < 3_000:
            found[record.key].append(_number(record))
    return found


INVENTORY = """
    from larder import DeadLetter, EventTopic, OwnerTopic, Row, Service

    class Stock(Row):
        product_id: str
        left: int
        revision: int

    class Order(Row):
        order_id: str
        product_id: str
        quantity: int

    class Allocation(Row):
        order_id: str
        product_id: str
        left: int
        enough: bool

    stock = OwnerTopic("{p}.stock", Stock, key="product_id", revision="revision", owner="warehouse")
    orders = EventTopic("{p}.orders", Order, key="order_id", owner="checkout")
    allocations = EventTopic("{p}.allocations", Allocation, key="order_id")
    inventory = Service("{p}.inventory")

    @inventory.join(orders.by("product_id"), inventory.table(stock), into=allocations)
    def allocation(order: Order, stock: Stock) -> Allocation:
        return Allocation(order_id=order.order_id, product_id=stock.product_id, left=stock.left,
                          enough=order.quantity <= stock.left)
"""


@pytest.mark.scenario("4.4")
async def test_orders_rekeyed_by_product_meet_the_stock_of_their_product(kafka: str, prefix: str, start: Start) -> None:
    await create(kafka, {f"{prefix}.stock": 4}, COMPACTED)
    await create(kafka, {f"{prefix}.orders": 4})
    levels = [{"product_id": f"p{number}", "left": number, "revision": 1} for number in range(100)]
    await _send_rows(kafka, f"{prefix}.stock", "product_id", levels)
    workers = [start(INVENTORY.format(p=prefix), f"{prefix}.inventory", name) for name in ("one", "two")]
    orders = [
        {"order_id": f"o{number}", "product_id": f"p{number % 100}", "quantity": number % 13} for number in range(1_000)
    ]
    await _send_rows(kafka, f"{prefix}.orders", "order_id", orders[:500])
    first = await until_count(kafka, f"{prefix}.allocations", 500, by="order_id")
    refilled = [level | {"left": 1_000, "revision": 2} for level in levels]
    await _send_rows(kafka, f"{prefix}.stock", "product_id", refilled)
    until_read(workers, f"{prefix}.stock", await ends(kafka, f"{prefix}.stock"))
    await _send_rows(kafka, f"{prefix}.orders", "order_id", orders[500:])
    both = await until_count(kafka, f"{prefix}.allocations", 1_000, by="order_id")
    assert _allocations(first) == _expected(orders[:500], levels)
    assert _allocations(both) == _expected(orders[:500], levels) | _expected(orders[500:], refilled)
    held = [worker.until_shared(4)["tables"][0]["rows"] for worker in workers]
    assert sum(held) == 100
    assert all(held), "each must hold only the stock of its own partitions"


def _allocations(found: list[dict[str, Any]]) -> set[tuple[str, str, int, bool]]:
    return {(each["order_id"], each["product_id"], each["left"], each["enough"]) for each in found}


def _expected(orders: list[dict[str, Any]], levels: list[dict[str, Any]]) -> set[tuple[str, str, int, bool]]:
    left = {level["product_id"]: level["left"] for level in levels}
    return {
        (each["order_id"], each["product_id"], left[each["product_id"]], each["quantity"] <= left[each["product_id"]])
        for each in orders
    }


EARLY = """
    from larder import DeadLetter, Drop, EventTopic, OwnerTopic, PassOn, Row, Service, Wait

    class Customer(Row):
        customer_id: str

    class Order(Row):
        order_id: str
        customer_id: str | None

    class Known(Order):
        customer: Customer | None

    customers = OwnerTopic("{p}.customers", Customer, key="customer_id", owner="crm")
    orders = EventTopic("{p}.orders", Order, key="order_id", owner="checkout")
    service = Service("{p}.service")
    held = service.global_table(customers)
    for name, missing in [("waits", Wait(seconds=600).then(Drop)), ("tires", Wait(seconds=0.5).then(DeadLetter)),
                          ("passes", PassOn), ("drops", Drop), ("parks", DeadLetter)]:
        into = EventTopic("{p}." + name, Known, key="order_id")
        service.join(orders, held.on("customer_id"), into=into, missing=missing)
"""


@pytest.mark.scenario("4.5")
async def test_an_order_before_its_customer_takes_the_declared_step_and_is_counted(
    kafka: str, prefix: str, start: Start
) -> None:
    await create(kafka, {f"{prefix}.customers": 2}, COMPACTED)
    await create(kafka, {f"{prefix}.orders": 1})
    worker = start(EARLY.format(p=prefix), f"{prefix}.service")
    worker.until_caught_up()
    early = [{"order_id": f"o{number}", "customer_id": f"c{number}"} for number in range(4)]
    await _send_rows(kafka, f"{prefix}.orders", "order_id", early)
    until_read([worker], f"{prefix}.orders", await ends(kafka, f"{prefix}.orders"))
    worker.until(lambda status: _waiting(status) == [4, 0, 0, 0, 0], what="four waiting and four expired orders")
    passed = await rows(kafka, f"{prefix}.passes")
    assert sorted(passed, key=lambda order: order["order_id"]) == [order | {"customer": None} for order in early]
    letters = await until(lambda: _letters(kafka, prefix), 10, "eight dead letters")
    assert letters == sorted(
        2 * [(f"{prefix}.orders", 0, number, f"{prefix}.customers has no row 'c{number}'") for number in range(4)]
    )
    assert not [name for name in ("waits", "tires", "drops", "parks") if await rows(kafka, f"{prefix}.{name}")]
    await send(kafka, f"{prefix}.customers", [("c1", {"customer_id": "c1"})])
    assert await until_count(kafka, f"{prefix}.waits", 1) == [early[1] | {"customer": {"customer_id": "c1"}}]
    status = worker.until(lambda status: _waiting(status) == [3, 0, 0, 0, 0], what="three waiting orders")
    assert {join["name"].removeprefix(f"{prefix}."): _nonzero(join["counts"]) for join in status["joins"]} == {
        "waits": {"missing": 4, "waited": 4, "released": 1, "joined": 1},
        "tires": {"missing": 4, "waited": 4, "expired": 4, "parked": 4},
        "passes": {"missing": 4, "passed_on": 4, "joined": 4},
        "drops": {"missing": 4, "dropped": 4},
        "parks": {"missing": 4, "parked": 4},
    }


def _waiting(status: dict[str, Any]) -> list[int]:
    return [join["waiting"] for join in status["joins"]]


async def _letters(kafka: str, prefix: str) -> list[tuple[str, int, int, str]] | None:
    """Return the coordinates and the cause of each dead letter; None before there are eight."""
    letters = [dict(record.headers) for record in await read(kafka, f"{prefix}.service.dead-letters")]
    found = [
        (
            letter["larder.topic"].decode(),
            int(letter["larder.partition"]),
            int(letter["larder.offset"]),
            letter["larder.cause"].decode(),
        )
        for letter in letters
    ]
    return sorted(found) if len(found) >= 8 else None


def _nonzero(counts: dict[str, int]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count}


EVERY = """
    from larder import OwnerTopic, Row, Service

    class Customer(Row):
        customer_id: str
        name: str
        revision: int

    customers = OwnerTopic("{p}.customers", Customer, key="customer_id", revision="revision", owner="crm")
    service = Service("{p}.service")
    service.table(customers)
"""

PARTITIONS = 3


@pytest.mark.scenario("4.6")
async def test_while_workers_restore_no_worker_gives_a_wrong_answer(kafka: str, prefix: str, start: Start) -> None:
    table, count = f"{prefix}.customers", 40_000
    await create(kafka, {table: PARTITIONS}, COMPACTED)
    for partition in range(PARTITIONS):
        mine = (number for number in range(count) if partition_of(f"c{number}".encode(), PARTITIONS) == partition)
        await fill(kafka, table, partition, ((f"c{number}", _customer(number, 1)) for number in mine))
    asked = {f"c{number}": _customer(number, 1) for number in range(0, count, 4_000)} | {
        "nobody": None,
        "nothing": None,
    }
    workers: list[Worker] = []
    kinds = Counter[str]()
    for name in ("one", "two", "three"):
        workers.append(start(EVERY.format(p=prefix), f"{prefix}.service", name, sessions=QUICK))
        await until(lambda: _all_sure(workers, table, asked, kinds), 40, f"sure answers, {name} has a share")
    for key, row in asked.items():
        alone = [worker.get(f"/tables/{table}/rows/{key}?local=1") or (0, {}) for worker in workers]
        assert sorted(status for status, _ in alone) == [200 if row else 404, 503, 503]
        assert {answer["type"] for status, answer in alone if status == 503} == {"urn:larder:not-here"}
    workers.pop().kill()
    await until(lambda: _all_sure(workers, table, asked, kinds), 40, "sure answers of the remaining workers")
    assert kinds.keys() >= {"200", "404"}
    assert kinds.keys() <= {"200", "404", "urn:larder:recovering", "urn:larder:unserved", "urn:larder:not-here"}


def _all_sure(workers: list[Worker], table: str, asked: dict[str, dict[str, Any] | None], kinds: Counter[str]) -> bool:
    """Return whether every worker knows all keys and the partitions are shared. Fail at a wrong answer."""
    unsure, shares = 0, []
    for worker in workers:
        for key, row in asked.items():
            status, answer = worker.row(table, key)
            if status == 0:
                return False
            kinds[answer.get("type", "") if status == 503 else str(status)] += 1
            assert status == 503 or (status, answer.get("row")) == (200 if row else 404, row), (key, answer)
            unsure += status == 503
        _, services = worker.get("/services") or (0, {"tables": [{"partitions": []}]})
        shares.append(len(services["tables"][0]["partitions"]))
    return not unsure and 0 not in shares and sum(shares) == PARTITIONS
