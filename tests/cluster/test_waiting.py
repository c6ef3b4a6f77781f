"""Orders that wait for their customer, while workers and tables come and go."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.cluster.shops import KINDS, Shop
from tests.cluster.stages import KINDS as STAGE_KINDS
from tests.cluster.stages import Stage, customer, order
from tests.support.beside import Beside
from tests.support.topics import COMPACTED, Sent, create, grow, read, rows, send
from tests.support.workers import none_left, running


def waits(seconds: float) -> str:
    return f"Wait(seconds={seconds}).then(DeadLetter)"


@pytest.mark.parametrize("kind", KINDS)
def test_waiting_orders_outlive_their_worker_and_another_releases_them(shop: Shop, kind: str) -> None:
    module = shop.module(KINDS[kind], missing=waits(60))
    one, two, three = workers = [shop.worker(module, name) for name in ("one", "two", "three")]
    late = [f"late{number}" for number in range(10)]
    with none_left(*workers):
        one.start()
        waiting = shop.order(20, late)
        one.until(lambda status: _waiting(status) == len(waiting), what="waiting orders")
        one.kill()
        two.start().until(lambda status: _waiting(status) == len(waiting), what="waiting orders on the new worker")
        assert not shop.joined.records
        shop.publish(late[:5])
        shop.joined.until(order for order in waiting if shop.orders[order]["customer_id"] in late[:5])
        two.kill()
        # No worker runs when the other customers arrive: the next one looks them up again for the waiting orders.
        shop.publish(late[5:])
        three.start()
        shop.judge()
        three.until(lambda status: _waiting(status) == 0, what="no waiting orders")
        assert three.stop() == 0
    assert not shop.dead_letters()


def test_orders_of_one_key_keep_their_order_behind_one_that_waits(shop: Shop) -> None:
    module = shop.module(KINDS["copartitioned"], missing=waits(60))
    one, two = workers = [shop.worker(module, name) for name in ("one", "two")]
    # Rekeyed orders affect each other only if their customers share a partition.
    here = shop.neighbours("late")[0]
    with none_left(*workers):
        one.start()
        changes = [("late", 1), (here, 2), ("late", 3), (here, 4)]
        orders = [{"order_id": "changed", "customer_id": customer, "number": number} for customer, number in changes]
        shop.beside.call(send(shop.kafka, f"{shop.prefix}.orders", [("changed", order) for order in orders]))
        one.until(lambda status: _waiting(status) == len(orders), what="the orders behind the first to wait")
        one.kill()
        two.start().until(lambda status: _waiting(status) == len(orders), what="waiting orders on the new worker")
        shop.publish(["late"])
        shop.joined.until(["changed"])
        two.until(lambda status: _waiting(status) == 0, what="no waiting orders")
        assert two.stop() == 0
    outputs = shop.beside.call(read(shop.kafka, f"{shop.prefix}.joined"))
    assert [msgspec.json.decode(each.value)["number"] for each in outputs] == [1, 2, 3, 4]


@pytest.mark.parametrize("kind", KINDS)
def test_a_lagging_table_does_not_expire_orders_whose_customer_came_in_time(shop: Shop, kind: str) -> None:
    worker = shop.worker(shop.module(KINDS[kind], missing=waits(8)), session_timeout_s="20")
    late = [f"late{number}" for number in range(8)]
    with running(worker):
        worker.until_caught_up()
        waiting = shop.order(16, late)
        # Orders are counted before they are committed.
        worker.until(lambda _: len(_deadlines(shop)) == len(waiting), what="waiting orders")
        worker.signal(signal.SIGSTOP)
        # Many rows for the table to read, and behind them the customers, in time.
        shop.flood(50_000)
        shop.publish(late)
        deadlines = _deadlines(shop)
        assert time.time() < min(deadlines), "the customers came in time"
        _until_passed(max(deadlines))
        worker.signal(signal.SIGCONT)
        worker.until(lambda status: _waiting(status) == 0, what="no waiting orders")
        assert not shop.dead_letters()
        shop.judge()


def test_an_order_whose_customer_does_not_come_expires_with_the_cause(shop: Shop) -> None:
    worker = shop.worker(shop.module(KINDS["global"], missing=waits(0.5)))
    with running(worker):
        shop.order(3, ["nobody"])
        shop.order(3)
        worker.until(lambda status: status["joins"][0]["counts"]["expired"] == 3, what="expired orders")
        # Orders are counted before their dead letters are acknowledged. Without an acknowledgement, an order waits and
        # expires again; with one, it may be dead-lettered again, with the same coordinates.
        worker.kill()
        worker.start()
        worker.until(lambda _: len({each.key for each in shop.dead_letters()}) == 3, what="dead letters")
        worker.until(lambda status: _waiting(status) == 0, what="no waiting orders")
        assert worker.stop() == 0
    letters = {each.key: each for each in shop.dead_letters()}.values()
    assert sorted(each.value for each in letters) == sorted(
        msgspec.json.encode(row) for row in shop.orders.values() if row["customer_id"] == "nobody"
    )
    assert all("nobody" in dict(each.headers)["larder.cause"].decode() for each in letters)


def test_a_newer_revision_or_a_deletion_replaces_a_waiting_row(shop: Shop) -> None:
    carts = f"{shop.prefix}.carts"
    worker = shop.worker(shop.module(CARTS))
    shop.beside.call(create(shop.kafka, {carts: 4}, COMPACTED))
    with running(worker):
        worker.until_caught_up()
        first = [_cart("changed", "late", 1), _cart("deleted", "late", 1), _cart("kept", "late", 1)]
        shop.beside.call(send(shop.kafka, carts, first))
        worker.until(lambda status: _waiting(status) == len(first), what="waiting carts")
        shop.beside.call(send(shop.kafka, carts, [_cart("changed", "c0", 2), Sent("deleted", None)]))
        shop.joined.until(["changed"])
        worker.until(lambda status: _waiting(status) == 1, what="only one waiting cart")
        shop.publish(["late"])
        shop.joined.until(["kept"])
        worker.until_caught_up()
        assert worker.stop() == 0
    outputs = shop.beside.call(read(shop.kafka, f"{shop.prefix}.joined"))
    assert sorted((each.key, msgspec.json.decode(each.value)["number"]) for each in outputs) == [
        (b"changed", 2),
        (b"kept", 1),
    ]


CARTS = """
carts = OwnerTopic("{prefix}.carts", Order, key="order_id", revision="number", owner="checkout")
held = service.global_table(customers)
service.join(carts, held.on("customer_id"), into=joined, missing=Wait(seconds=60).then(DeadLetter))
"""


def _cart(key: str, customer: str, revision: int) -> Sent:
    return Sent(key, {"order_id": key, "customer_id": customer, "number": revision})


def _waiting(status: dict[str, Any]) -> int:
    return sum(join["waiting"] for join in status["joins"])


def _deadlines(shop: Shop) -> list[float]:
    """Return the deadlines of all orders that ever waited."""
    topic = f"{shop.prefix}.{shop.prefix}.joined.waiting"
    return [each["deadline"] for each in shop.beside.call(rows(shop.kafka, topic))]


def _until_passed(moment: float) -> None:
    """Wait until a time, in seconds since the epoch, has passed."""
    while time.time() <= moment:
        time.sleep(0.02)


def test_a_new_partition_without_its_waiting_topic_is_logged_once_and_continues_when_it_exists(
    kafka: str, prefix: str, beside: Beside, tmp_path: Path
) -> None:
    stage = Stage(kafka, prefix, beside, tmp_path)
    stage.send("customers", [customer("c1")])
    waiting = f"{prefix}.joined.waiting"
    worker = stage.worker(STAGE_KINDS["global"], missing=waits(60))
    with running(worker):
        worker.until_running()
        stage.send("orders", [order("first")])
        stage.until_joined(["first"])
        beside.call(grow(kafka, stage.name("orders"), 3))
        found = worker.until_logged(r"WARNING .*orders, partition 2: its joins require .*")
        assert found.endswith(
            f" input {stage.name('orders')}, partition 2: its joins require as many partitions as it has in"
            f" {stage.name(waiting)}; found 1; add partitions where there are fewer, with kafka-topics for instance;"
            " until then its records are held back"
        )
        stage.send("orders", [Sent(f"o{number}", order(f"o{number}")[1], partition=number) for number in range(3)])
        assert stage.until_joined(["o0"]).keys() == {"first", "o0"}
        # Each new partition causes another assignment.
        beside.call(grow(kafka, stage.name(waiting), 2))
        assert stage.until_joined(["o1"]).keys() == {"first", "o0", "o1"}
        beside.call(grow(kafka, stage.name(waiting), 3))
        assert stage.until_joined(["o2"]).keys() == {"first", "o0", "o1", "o2"}
        assert worker.stop() == 0
    assert worker.text.count("are held back") == 2
