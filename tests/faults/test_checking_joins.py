"""The checker of joins finds the violations in handmade histories: a checker that never failed is untested."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from tests.faults.history import NEVER, Era, History, Seen, Written
from tests.faults.parts import Case
from tests.faults.plan import planned
from tests.faults.shop_judging import violations

# Times in seconds: the customers' first rows at 1 and 2, workers from 3 on, c1 changes at 10, c2 vanishes at 11.
OLD, NEW = ({"customer_id": "c1", "name": f"c1 at {number}", "revision": number} for number in (1, 2))
OTHER = {"customer_id": "c2", "name": "c2 at 1", "revision": 1}
PRODUCT = {"product_id": "p1", "name": "p1 at 1", "revision": 1}
BY = "t.t.orders.by.product_id"


class Shop:
    """A correct history, until a test adds or removes something."""

    def __init__(self, missing: str = "Wait(seconds=60).then(DeadLetter)") -> None:
        self.plan = replace(planned(0), missing=(missing, "DeadLetter"))
        self.history = History()
        self.history.eras = [Era(7, 3.0, "one"), Era(8, 3.0, "two")]
        self.seen: list[Seen] = []
        self._offsets: dict[tuple[str, int], int] = {}
        self.own("customers", "c1", OLD, 1, 1.0)
        self.own("customers", "c2", OTHER, 1, 2.0)
        self.own("products", "p1", PRODUCT, 1, 2.0)
        self.own("customers", "c1", NEW, 2, 10.0)
        self.own("customers", "c2", None, 2, 11.0)

    def own(self, topic: str, key: str, row: dict[str, Any] | None, revision: int, at: float) -> None:
        headers = {"larder.revision": str(revision)} if row is None else {}
        record = self.put(f"t.{topic}", key, row, at, headers=headers)
        self.history.written.append(
            Written(f"t.{topic}", key, row, revision, at - 0.01, at, record.partition, record.offset)
        )

    def order(self, serial: int, customer: str | None = "c1", key: str = "o1", at: float = 20.0) -> dict[str, Any]:
        """Add an order that is written, rekeyed, and correctly fulfilled."""
        order = {"order_id": key, "customer_id": customer, "product_id": "p1", "serial": serial}
        self.put("t.orders", key, order, at)
        self.put(BY, key, order, at)
        self.put("t.fulfilled", key, {**order, "product": PRODUCT, "worker": 7}, at)
        return order

    def enriched(self, order: dict[str, Any], row: dict[str, Any] | None, worker: int = 7, partition: int = 0) -> None:
        self.put("t.enriched", order["order_id"], {**order, "customer": row, "worker": worker}, 20.5, partition)

    def waits(self, order: dict[str, Any], offset: int) -> None:
        value = base64.b64encode(msgspec.json.encode(order)).decode()
        row = {"id": f"{offset}", "offset": offset, "key": order["order_id"], "value": value}
        self.put("t.t.enriched.waiting", f"{offset}", row, 21.0)

    def dead_lettered(self, order: dict[str, Any], at: float, cause: str = "t.customers has no row 'c1'") -> None:
        headers = {"larder.topic": "t.orders", "larder.cause": cause}
        self.put("t.dead-letters", f"t.orders/0/{order['serial']}", order, at, headers=headers)

    def put(
        self, topic: str, key: str, value: Any, at: float, partition: int = 0, headers: dict[str, str] | None = None
    ) -> Seen:
        offset = self._offsets.get((topic, partition), 0)
        self._offsets[topic, partition] = offset + 1
        self.seen.append(Seen(topic, partition, offset, key, value, at, headers or {}))
        return self.seen[-1]

    def drop(self, topic: str) -> None:
        """Remove the last record of a topic."""
        self.seen.remove([record for record in self.seen if record.topic == topic][-1])

    def kinds(self) -> set[str]:
        return {each.kind for each in violations(Case(self.plan, "t", self.history, self.seen))}


@pytest.fixture
def shop() -> Shop:
    return Shop()


def test_a_correct_history_has_no_violations(shop: Shop) -> None:
    shop.enriched(shop.order(1), NEW)
    shop.enriched(shop.order(2, key="o2"), OLD, partition=1)  # its worker measured before the newer row
    shop.waits(shop.order(3, "c2"), offset=2)
    assert shop.kinds() == set()


def test_an_order_without_an_output_is_lost(shop: Shop) -> None:
    shop.order(1)
    assert shop.kinds() == {"lost"}


def test_an_order_with_two_outputs_is_doubled(shop: Shop) -> None:
    order = shop.order(1)
    shop.enriched(order, NEW)
    shop.enriched(order, NEW)
    assert shop.kinds() == {"doubled"}


def test_an_order_written_twice_has_two_outputs(shop: Shop) -> None:
    order = shop.order(1)
    shop.order(1)
    shop.enriched(order, NEW)
    assert shop.kinds() == {"lost"}
    shop.enriched(order, NEW)
    assert shop.kinds() == set()


def test_an_order_with_an_output_that_still_waits_is_doubled(shop: Shop) -> None:
    order = shop.order(1, "c2")
    shop.enriched(order, OTHER)
    shop.waits(order, offset=0)
    assert shop.kinds() == {"doubled"}


def test_an_order_with_an_output_and_a_dead_letter_is_doubled(shop: Shop) -> None:
    order = shop.order(1, "c2")
    shop.enriched(order, OTHER)
    shop.dead_lettered(order, 90.0)
    assert shop.kinds() == {"doubled"}


def test_an_output_without_an_order_is_invented(shop: Shop) -> None:
    order = shop.order(1)
    shop.enriched(order, NEW)
    shop.enriched(order | {"serial": 2}, NEW)
    assert shop.kinds() == {"invented"}


def test_an_output_that_differs_from_its_order_is_reported(shop: Shop) -> None:
    shop.enriched(shop.order(1) | {"product_id": "p2"}, NEW)
    assert shop.kinds() == {"changed"}


def test_an_order_rekeyed_twice_or_never_is_reported(shop: Shop) -> None:
    shop.enriched(shop.order(1), NEW)
    shop.drop("t.fulfilled")
    shop.drop(BY)
    assert shop.kinds() == {"lost"}


def test_a_row_that_its_partner_never_had_is_misjoined(shop: Shop) -> None:
    shop.enriched(shop.order(1), OTHER)
    assert shop.kinds() == {"misjoined"}


def test_a_row_older_than_the_workers_measurement_is_misjoined(shop: Shop) -> None:
    shop.history.eras.append(Era(7, 15.0, "one"))
    shop.enriched(shop.order(1), OLD)
    assert shop.kinds() == {"misjoined"}


def test_the_older_row_is_right_for_a_worker_that_has_not_measured_since(shop: Shop) -> None:
    shop.history.eras.append(Era(7, 15.0, "one"))
    shop.enriched(shop.order(1), OLD, worker=8)
    assert shop.kinds() == set()


def test_a_row_deleted_before_the_worker_measured_is_resurrected(shop: Shop) -> None:
    shop.history.eras.append(Era(7, 15.0, "one"))
    shop.enriched(shop.order(1, "c2"), OTHER)
    assert shop.kinds() == {"resurrected"}


def test_an_older_row_after_a_newer_one_is_falling(shop: Shop) -> None:
    shop.enriched(shop.order(1), NEW)
    shop.enriched(shop.order(2, key="o2"), OLD, worker=8)
    assert shop.kinds() == {"falling"}


def test_orders_of_one_key_with_reordered_outputs_are_reported(shop: Shop) -> None:
    first, second = shop.order(1), shop.order(2)
    shop.enriched(second, NEW)
    shop.enriched(first, NEW)
    assert shop.kinds() == {"reordered"}


def test_an_order_that_waits_although_its_partner_exists_is_reported(shop: Shop) -> None:
    shop.waits(shop.order(1), offset=0)
    assert shop.kinds() == {"waits"}


def test_an_order_may_wait_behind_another_of_its_key(shop: Shop) -> None:
    shop.waits(shop.order(1, "c2"), offset=0)
    shop.waits(shop.order(2, "c1"), offset=1)
    assert shop.kinds() == set()


def test_an_order_dead_lettered_although_its_partner_came_in_time_is_misjoined(shop: Shop) -> None:
    shop.dead_lettered(shop.order(1), 80.5)
    assert shop.kinds() == {"misjoined"}


def test_an_order_dead_lettered_before_its_deadline_is_hasty(shop: Shop) -> None:
    shop.dead_lettered(shop.order(1, "c2"), 50.0, "t.customers has no row 'c2'")
    assert shop.kinds() == {"hasty"}


def test_an_order_dead_lettered_for_another_reason_is_reported(shop: Shop) -> None:
    shop.dead_lettered(shop.order(1), 20.0, "the value requires JSON")
    assert shop.kinds() == {"parked"}


def test_an_order_passed_on_without_an_existing_row_is_misjoined() -> None:
    shop = Shop("PassOn")
    shop.enriched(shop.order(1, "c2"), None)  # c2 is deleted by then
    assert shop.kinds() == set()
    shop.enriched(shop.order(2), None)
    assert shop.kinds() == {"misjoined"}


def test_a_missing_acknowledged_record_is_the_fault_of_the_broker(shop: Shop) -> None:
    shop.history.written.append(Written("t.orders", "o1", {}, None, 1.0, 2.0, 0, 5))
    assert shop.kinds() == {"broker"}


def test_an_unacknowledged_row_counts_once_a_reader_has_read_it(shop: Shop) -> None:
    newest = OLD | {"name": "c1 at 3", "revision": 3}
    shop.history.written.append(Written("t.customers", "c1", newest, 3, 12.0, NEVER))
    shop.enriched(shop.order(1), newest)
    assert shop.kinds() == {"misjoined"}
    shop.put("t.customers", "c1", newest, 12.5)
    assert shop.kinds() == set()
