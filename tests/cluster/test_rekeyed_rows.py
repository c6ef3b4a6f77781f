"""Rows that are partitioned by one of their fields: they move or are deleted, and their results follow."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.stocks import decoded, judge_chain
from tests.support.beside import Beside
from tests.support.topics import COMPACTED, Sent, create, read, rows, send, until
from tests.support.workers import Worker, running

PARTITIONS = 4
CUSTOMERS = 12

LABELS = """
from larder import DeadLetter, Drop, EventTopic, OwnerTopic, Row, Service, Wait


class Customer(Row):
    customer_id: str
    name: str
    revision: int


class Address(Row):
    address_id: str
    customer_id: str | None
    street: str
    revision: int


class Label(Address):
    customer: Customer


customers = OwnerTopic("{prefix}.customers", Customer, key="customer_id", revision="revision", owner="crm")
addresses = OwnerTopic("{prefix}.addresses", Address, key="address_id", revision="revision", owner="crm")
labels = OwnerTopic("{prefix}.labels", Label, key="address_id", revision="revision", owner="{prefix}")
service = Service("{prefix}")
service.join(addresses.by("customer_id"{by}), service.table(customers), into=labels, missing={missing})
"""


class Labels:
    """Addresses and their labels; `addresses` has the current rows by key."""

    def __init__(self, kafka: str, prefix: str, beside: Beside, directory: Path) -> None:
        self.kafka = kafka
        self.prefix = prefix
        self.beside = beside
        self.directory = directory
        self.addresses: dict[str, dict[str, Any] | None] = {}
        self._revisions: dict[str, int] = {}
        topics = {f"{prefix}.customers": PARTITIONS, f"{prefix}.addresses": 3}
        beside.call(create(kafka, topics, COMPACTED))
        self.send("customers", [self._customer(number) for number in range(CUSTOMERS)])

    @staticmethod
    def _customer(number: int) -> Sent:
        return Sent(f"c{number}", {"customer_id": f"c{number}", "name": f"n{number}", "revision": 1})

    def worker(self, name: str = "one", missing: str = "Drop", by: str = "") -> Worker:
        module = LABELS.format(prefix=self.prefix, missing=missing, by=by)
        return Worker(self.kafka, self.directory, module, self.prefix, name)

    def send(self, topic: str, records: list[Sent]) -> None:
        self.beside.call(send(self.kafka, f"{self.prefix}.{topic}", records))

    def change(self, changes: list[tuple[str, str | None]], *, revised: bool = True) -> None:
        """Assign addresses to customers; None deletes, with a revision of the deletion if `revised`."""
        records = []
        for address, customer in changes:
            revision = self._revisions[address] = self._revisions.get(address, 0) + 1
            row = {"address_id": address, "customer_id": customer, "street": f"s{revision}", "revision": revision}
            self.addresses[address] = None if customer is None else row
            headers = [("larder.revision", b"%d" % revision)] if revised and customer is None else []
            records.append(Sent(address, self.addresses[address], headers=headers))
        self.send("addresses", records)

    def until_right(self, timeout: float = 30) -> None:
        """Wait until the labels are those of the current addresses, each with its customer."""
        wanted = {
            address: {**row, "customer": self._customer(int(row["customer_id"][1:])).value}
            for address, row in self.addresses.items()
            if row is not None and int(row["customer_id"][1:]) < CUSTOMERS
        }

        async def right() -> bool:
            found: dict[str, Any] = {}
            for record in await read(self.kafka, f"{self.prefix}.labels"):
                found[record.key.decode()] = record
            present = [record for record in found.values() if record.value is not None]
            return {row["address_id"]: row for row in decoded(present)} == wanted

        self.beside.call(until(right, timeout, "the labels of all addresses"))
        judge_chain(self.beside.call(read(self.kafka, f"{self.prefix}.labels")), revised_deletions=False)


@pytest.fixture
def labels(kafka: str, prefix: str, beside: Beside, tmp_path: Path) -> Labels:
    return Labels(kafka, prefix, beside, tmp_path)


@pytest.mark.scenario("4.3")
@pytest.mark.parametrize("revised", [True, False])
def test_the_label_follows_a_row_that_moves_to_another_customer_or_is_deleted(labels: Labels, *, revised: bool) -> None:
    with running(worker := labels.worker()):
        worker.until_running()
        labels.change([("a1", "c1"), ("a2", "c2"), ("a3", "c3")], revised=revised)
        labels.until_right()
        labels.change([("a1", "c5"), ("a2", None), ("a3", "c4"), ("a3", "c3")], revised=revised)
        labels.until_right()
        labels.change([("a2", "c2"), ("a1", None)], revised=revised)
        labels.until_right()
        assert worker.row(f"{labels.prefix}.customers", "c1")[0] == 200
        assert labels.beside.call(rows(labels.kafka, f"{labels.prefix}.dead-letters")) == []


def test_a_row_without_a_customer_loses_its_label(labels: Labels) -> None:
    with running(worker := labels.worker()):
        worker.until_running()
        labels.change([("a1", "c1"), ("a2", "c1")])
        labels.until_right()
        labels.change([("a1", "c99")])
        labels.until_right()
        assert [row["address_id"] for row in labels.addresses.values() if row] == ["a1", "a2"]


def test_a_row_with_null_in_the_field_of_by_loses_its_label_and_is_counted_as_dropped(
    labels: Labels,
) -> None:
    with running(worker := labels.worker(by=", missing=Drop")):
        worker.until_running()
        labels.change([("a1", "c1"), ("a2", "c1")])
        labels.until_right()
        labels.send("addresses", [Sent("a1", {"address_id": "a1", "customer_id": None, "street": "", "revision": 2})])
        labels.addresses["a1"] = None
        labels.until_right()
        worker.until(lambda status: status["rekeyings"][0]["dropped"] == 1, what="a dropped row")
        assert labels.beside.call(rows(labels.kafka, f"{labels.prefix}.dead-letters")) == []


def test_a_row_that_moves_away_no_longer_waits_in_its_old_partition(labels: Labels) -> None:
    with running(worker := labels.worker(missing="Wait(60).then(DeadLetter)")):
        worker.until_running()
        labels.change([("a1", "c98"), ("a2", "c97")])
        worker.until(lambda status: status["joins"][0]["waiting"] == 2, what="two waiting rows")
        labels.change([("a1", "c1"), ("a2", None)])
        worker.until(lambda status: status["joins"][0]["waiting"] == 0, what="no waiting row")
        labels.until_right()
        labels.send("customers", [labels._customer(98), labels._customer(97)])
        worker.until_caught_up()
        labels.until_right()


def test_rows_that_move_while_workers_are_killed_end_with_the_right_labels(
    labels: Labels, chance: random.Random
) -> None:
    workers = [labels.worker(name) for name in ("one", "two")]
    addresses = [f"a{number}" for number in range(30)]
    customers = [f"c{number}" for number in range(CUSTOMERS)]
    with running(*workers):
        for worker in workers:
            worker.until_running()
        for _ in range(6):
            labels.change([(chance.choice(addresses), chance.choice([*customers, None])) for _ in range(80)])
            victim = chance.choice(workers)
            victim.kill()
            labels.change([(chance.choice(addresses), chance.choice(customers)) for _ in range(40)])
            victim.start()
            victim.until_running()
        labels.until_right()
