"""Reactions to changes of rows: each change is emitted once, even if workers die."""

from __future__ import annotations

import random
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from tests.support.beside import Beside
from tests.support.topics import COMPACTED, Sent, create, rows, send, until, until_count
from tests.support.workers import Worker, running

PARTITIONS = 4

MODULE = """
from pathlib import Path

from larder import Service
from larder.types import UNKNOWN
from larder import EventTopic, OwnerTopic, Row


class Customer(Row):
    customer_id: str
    country: str
    revision: int


class Change(Row):
    customer_id: str
    old: str | None
    new: str | None
    revision: int


customers = OwnerTopic("{prefix}.customers", Customer, key="customer_id", revision="revision", owner="crm")
changes = EventTopic("{prefix}.changes", Change, key="customer_id", owner="{prefix}")
service = Service("{prefix}")
held = service.{table}(customers)


@service.on_change(held{into})
def changed(old, new):
    last = new or old
    if last is UNKNOWN:
        return None
    before = "unknown" if old is UNKNOWN else old and old.country
    change = Change(customer_id=last.customer_id, old=before, new=new and new.country, revision=last.revision)
    if last.country == "nowhere":
        raise ValueError("there is no such country")
    {result}
"""


class Customers:
    """Customers that change; `expected` has the expected changes of each in their order."""

    def __init__(self, kafka: str, prefix: str, beside: Beside, directory: Path) -> None:
        self.kafka = kafka
        self.prefix = prefix
        self.beside = beside
        self.directory = directory
        self.expected: defaultdict[str, list[tuple[str | None, str | None]]] = defaultdict(list)
        self._revisions: dict[str, int] = {}
        beside.call(create(kafka, {f"{prefix}.customers": PARTITIONS}, COMPACTED))

    def worker(self, name: str = "one", *, table: str = "table", reacts: bool = True) -> Worker:
        emits = table == "table"
        module = MODULE.format(
            prefix=self.prefix,
            table=table,
            into=", into=changes" if emits else "",
            result="return change" if emits else
            f'with Path("told-{name}").open("a") as file:\n        print(change.old, change.new, file=file)',
        )  # fmt: skip
        declared = module if reacts else module[: module.index("@service")]
        return Worker(self.kafka, self.directory, declared, self.prefix, name)

    def change(self, changes: list[tuple[str, str | None]]) -> None:
        """Publish the countries of customers, even unchanged ones; None deletes."""
        records = []
        for customer, country in changes:
            revision = self._revisions[customer] = self._revisions.get(customer, 0) + 1
            before = self.expected[customer][-1][1] if self.expected[customer] else None
            if country != before:
                self.expected[customer].append((before, country))
            row = {"customer_id": customer, "country": country, "revision": revision}
            headers = [("larder.revision", b"%d" % revision)] if country is None else []
            records.append(Sent(customer, row if country is not None else None, headers=headers))
        self.beside.call(send(self.kafka, f"{self.prefix}.customers", records))

    def until_emitted(self, timeout: float = 30) -> None:
        """Wait for all expected changes, and check that each was emitted once and in its order."""
        count = sum(len(each) for each in self.expected.values())
        self.beside.call(until_count(self.kafka, f"{self.prefix}.changes", count, timeout))
        found: defaultdict[str, list[tuple[Any, Any]]] = defaultdict(list)
        for row in self.beside.call(rows(self.kafka, f"{self.prefix}.changes")):
            found[row["customer_id"]].append((row["old"], row["new"]))
        assert found == {customer: changes for customer, changes in self.expected.items() if changes}


@pytest.fixture
def customers(kafka: str, prefix: str, beside: Beside, tmp_path: Path) -> Customers:
    return Customers(kafka, prefix, beside, tmp_path)


@pytest.mark.scenario("1.9")
def test_each_change_of_a_row_is_reported_once_with_the_rows_before_and_after(customers: Customers) -> None:
    with running(worker := customers.worker()):
        worker.until_caught_up()
        customers.change([("c1", "AT"), ("c1", "AT"), ("c2", "DE"), ("c1", "IT"), ("c2", None), ("c1", "AT")])
        customers.until_emitted()
        assert worker.stop() == 0
    with running(again := customers.worker()):
        again.until_caught_up()
        customers.change([("c1", "FR"), ("c2", "DE")])
        customers.until_emitted()


def test_changes_while_workers_are_killed_are_each_reported_once(customers: Customers, chance: random.Random) -> None:
    workers = [customers.worker(name) for name in ("one", "two")]
    names, countries = [f"c{number}" for number in range(20)], ["AT", "DE", "IT", None]
    with running(*workers):
        for worker in workers:
            worker.until_caught_up()
        for _ in range(4):
            customers.change([(chance.choice(names), chance.choice(countries)) for _ in range(100)])
            victim = chance.choice(workers)
            victim.kill()
            customers.change([(chance.choice(names), chance.choice(countries)) for _ in range(50)])
            victim.start()
            victim.until(lambda status: status["phase"] == "running", what="running")
        customers.until_emitted()


def test_a_store_ahead_of_the_committed_offset_is_rebuilt_and_no_change_is_skipped(
    customers: Customers,
) -> None:
    customers.change([("c1", "AT"), ("c2", "DE")])
    with running(before := customers.worker(reacts=False)):
        before.until_caught_up()
        assert before.stop() == 0
    with running(worker := customers.worker()):
        worker.until_caught_up()
        customers.change([("c1", "IT")])
        customers.until_emitted()
        assert "rebuilt, so that no change misses its reaction" in worker.text


def test_a_failing_reaction_writes_a_dead_letter_and_the_row_still_changes(customers: Customers) -> None:
    with running(worker := customers.worker()):
        worker.until_caught_up()
        customers.change([("c1", "nowhere")])
        customers.expected.clear()
        letters = customers.beside.call(until_count(customers.kafka, f"{customers.prefix}.dead-letters", 1))
        assert letters[0]["country"] == "nowhere"
        worker.until_caught_up()
        assert worker.row(f"{customers.prefix}.customers", "c1")[1]["row"]["country"] == "nowhere"


def test_every_worker_reacts_to_the_changes_of_a_global_table(customers: Customers) -> None:
    workers = [customers.worker(name, table="global_table") for name in ("one", "two")]
    with running(*workers):
        for worker in workers:
            worker.until(lambda status: status["phase"] == "running", what="running")
        customers.change([("c1", "AT"), ("c1", "IT"), ("c1", None)])
        for name in ("one", "two"):
            file = customers.directory / f"told-{name}"
            customers.beside.call(
                until(
                    lambda file=file: file.exists() and file.read_text() == "None AT\nAT IT\nIT None\n",
                    30,
                    f"the changes in {file.name}",
                )
            )
