"""Owned tables with real workers: no piece is sold twice or lost, whichever worker decides or dies."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest

from larder.kafka.partitioner import partition_of
from tests.cluster.stocks import PARTITIONS, STOCK, decoded, deliveries, judge_chain, judge_sold, requests
from tests.support.beside import Beside
from tests.support.topics import Sent, create, read, rows, send, until, until_count
from tests.support.workers import Worker, larder, running

TALLY = """

class Sighting(Row):
    product_id: str


class Tally(Row):
    product_id: str
    times: int
    revision: int = 0


sightings = EventTopic("{prefix}.sightings", Sighting, key="product_id", owner="shop")
tallies = OwnerTopic("{prefix}.tallies", Tally, key="product_id", revision="revision", owner="{prefix}")


@service.fold(sightings, state=service.table(tallies))
def tally(event: Sighting, row: Tally | None) -> Tally:
    return Tally(product_id=event.product_id, times=1 + (row.times if row else 0))
"""


class Stock:
    """A stock with its topics; `delivered` and `asked` are the acknowledged records."""

    def __init__(self, kafka: str, prefix: str, beside: Beside, directory: Path) -> None:
        self.kafka = kafka
        self.prefix = prefix
        self.beside = beside
        self.directory = directory
        self.delivered: dict[str, int] = {}
        self.asked: dict[str, str] = {}
        beside.call(create(kafka, {f"{prefix}.requests": PARTITIONS, f"{prefix}.deliveries": PARTITIONS}))

    def worker(self, name: str = "one", **environment: str) -> Worker:
        module = STOCK.format(prefix=self.prefix)
        return Worker(self.kafka, self.directory, module, self.prefix, name, environment)

    def tallying(self, field: str = "", value: str = "") -> Worker:
        """Return a worker that also has a fold; `field` adds a field with `value` to each state."""
        module = (STOCK + TALLY).format(prefix=self.prefix)
        if field:
            module = module.replace("    left: int\n    held", f"    left: int\n    {field}\n    held")
            module = module.replace("    times: int\n", f"    times: int\n    {field}\n")
            for row in ("Level", "Tally"):
                module = module.replace(f"{row}(product_id", f"{row}({field.partition(':')[0]}={value!r}, product_id")
        return Worker(self.kafka, self.directory, module, self.prefix)

    def deliver(self, pieces: dict[str, int]) -> None:
        self.beside.call(send(self.kafka, f"{self.prefix}.deliveries", deliveries(pieces)))
        for product, count in pieces.items():
            self.delivered[product] = self.delivered.get(product, 0) + count

    def ask(self, products: list[str], **more: Any) -> None:
        sent = requests(len(self.asked), products, **more)
        self.beside.call(send(self.kafka, f"{self.prefix}.requests", sent))
        self.asked |= {str(each.key): product for each, product in zip(sent, products, strict=True)}

    def rows(self, topic: str) -> list[dict[str, Any]]:
        return self.beside.call(rows(self.kafka, f"{self.prefix}.{topic}"))

    def levels(self) -> dict[str, dict[str, Any]]:
        found = self.beside.call(read(self.kafka, f"{self.prefix}.levels"))
        judge_chain(found)
        return {row["product_id"]: row for row in decoded(found)}

    def until_answered(self, timeout: float = 30) -> None:
        """Wait until each request has an answer."""

        async def answered() -> bool:
            reserved = await rows(self.kafka, f"{self.prefix}.reserved")
            refused = await rows(self.kafka, f"{self.prefix}.refusals")
            known = {row["request_id"] for row in reserved} | {row["event"]["request_id"] for row in refused}
            return known >= self.asked.keys()

        self.beside.call(until(answered, timeout, f"{len(self.asked)} requests to be answered"))

    def require_listed(self, worker: Worker) -> None:
        """Check that the command and the web port list and count the same ninety refusals."""
        ended = larder("refusals", self.prefix, "--limit", "40", "--json", kafka=self.kafka,
                       directory=self.directory, module=worker.module)  # fmt: skip
        assert ended.returncode == 0, ended.stderr
        listed = json.loads(ended.stdout)
        counted = {"state": f"{self.prefix}.levels", "reason": "only … left", "count": 90}
        (reasons,) = listed["counted"]["reasons"]
        assert {name: reasons[name] for name in counted} == counted
        written = [each["at"] for each in listed["refusals"]]
        assert (len(written), written) == (40, sorted(written, reverse=True))
        assert worker.get("/refusals?limit=40") == (200, {**listed, "key": None})
        _, rest = worker.get(f"/refusals?cursor={listed['next']}") or (0, {})
        assert (len(rest["refusals"]), rest["next"], rest["counted"]) == (50, None, None)

    def judge(self) -> None:
        judge_sold(self.delivered, self.asked, self.rows("reserved"), self.rows("refusals"), self.levels())
        assert self.rows("dead-letters") == []


def held_back(worker: Worker, by: str = "state") -> int:
    """Return how many records a worker reports as held back."""
    _, health = worker.get("/health/live") or (0, {})
    return sum(each["lag"] for each in health.get("besides", ()) if each["why"].startswith(f"held back: {by}"))


@pytest.fixture
def stock(kafka: str, prefix: str, beside: Beside, tmp_path: Path) -> Stock:
    return Stock(kafka, prefix, beside, tmp_path)


def test_a_hundred_requests_for_ten_pieces_give_ten_reservations_and_ninety_refusals(stock: Stock) -> None:
    worker = stock.worker()
    stock.deliver({"p1": 10, "p2": 3})
    with running(worker):
        worker.until_running()
        stock.beside.call(until_count(stock.kafka, f"{stock.prefix}.levels", 2))
        stock.ask(["p1"] * 100 + ["p2"] * 2)
        stock.until_answered()
        stock.judge()
        assert worker.row(f"{stock.prefix}.levels", "p1")[1]["row"]["left"] == 0
        refused = stock.rows("refusals")[0]
        assert refused["reason"] == "only 0 left"
        assert refused["state"] == f"{stock.prefix}.levels"
        assert refused["key"] == "p1"
        stock.require_listed(worker)


def test_requests_while_workers_are_killed_are_each_answered_once(stock: Stock, chance: random.Random) -> None:
    products = [f"p{number}" for number in range(12)]
    stock.deliver(dict.fromkeys(products, 40))
    workers = [stock.worker(name) for name in ("one", "two", "three")]
    with running(*workers):
        for worker in workers:
            worker.until_running()
        stock.beside.call(until_count(stock.kafka, f"{stock.prefix}.levels", len(products)))
        for _ in range(6):
            stock.ask(chance.choices(products, k=150))
            victim = chance.choice(workers)
            victim.kill()
            stock.ask(chance.choices(products, k=50))
            victim.start()
            victim.until_running()
        stock.until_answered()
        for worker in workers:
            worker.until_caught_up()
        stock.judge()


def test_a_wake_up_returns_held_pieces_after_its_worker_is_gone(
    stock: Stock,
) -> None:
    stock.deliver({"p1": 5, "p2": 5})
    worker = stock.worker()
    with running(worker):
        worker.until_running()
        stock.beside.call(until_count(stock.kafka, f"{stock.prefix}.levels", 2))
        stock.ask(["p1", "p1", "p2"], held_ms=3000)
        stock.beside.call(until_count(stock.kafka, f"{stock.prefix}.levels", 5))
        worker.kill()
        assert {row["left"] for row in stock.levels().values()} == {3, 4}
        assert stock.rows("released") == []
        with running(other := stock.worker("two")):
            stock.beside.call(until_count(stock.kafka, f"{stock.prefix}.released", 2))
            other.until_caught_up()
            assert {row["product_id"]: row["pieces"] for row in stock.rows("released")} == {"p1": 2, "p2": 1}
            assert {product: row["left"] for product, row in stock.levels().items()} == {"p1": 5, "p2": 5}
            assert {product: row["held"] for product, row in stock.levels().items()} == {"p1": {}, "p2": {}}


def test_misplaced_events_and_rows_become_dead_letters(stock: Stock) -> None:
    home = {product: partition_of(product.encode(), PARTITIONS) for product in ("p1", "p2", "p3", "p4", "p5")}
    stray = next(product for product, partition in home.items() if partition != 0)
    with running(worker := stock.worker()):
        worker.until_running()
        sent = [Sent(stray, {"product_id": stray, "pieces": 5}, partition=0)]
        stock.beside.call(send(stock.kafka, f"{stock.prefix}.deliveries", sent))
        (letter,) = stock.beside.call(until_count(stock.kafka, f"{stock.prefix}.dead-letters", 1))
        assert letter == {"product_id": stray, "pieces": 5}
        assert stock.levels() == {}


def test_a_decide_with_unreadable_rows_is_held_back_until_they_are_readable(stock: Stock) -> None:
    """So are a fold, and requests for a row with an unreadable wake-up."""
    home, wake_ups = partition_of(b"p1", PARTITIONS), f"{stock.prefix}.{stock.prefix}.levels.wake-ups"
    seen_twice = [Sent("p1", {"product_id": "p1"}), Sent("p2", {"product_id": "p2"})]
    stock.beside.call(create(stock.kafka, {f"{stock.prefix}.sightings": PARTITIONS}))
    stock.deliver({"p1": 10, "p2": 3})
    stock.beside.call(send(stock.kafka, f"{stock.prefix}.sightings", seen_twice))
    with running(worker := stock.tallying()):
        worker.until_running()
        stock.beside.call(until_count(stock.kafka, f"{stock.prefix}.levels", 2))
        stock.beside.call(until_count(stock.kafka, f"{stock.prefix}.tallies", 2))
        worker.stop()
    stock.ask(["p1", "p2", "p1"])
    stock.beside.call(send(stock.kafka, f"{stock.prefix}.sightings", seen_twice))
    with running(worker := stock.tallying("zone: str", "here")):
        for state in ("tallies", "levels"):
            line = worker.until_logged(rf"state {stock.prefix}.{state}, partition \d: .*")
            assert re.search(r"under \d of its keys, for instance p\d at offset \d: .* field `zone`", line)
            assert "give each new field a default, or go back to the previous row type" in line
        status = worker.until(lambda _: held_back(worker) >= 5, what="three requests and two sightings held back")
        for state in ("tallies", "levels"):
            assert any(f"state {stock.prefix}.{state}, partition" in problem for problem in status["held_back"])
        assert sorted(row["left"] for row in stock.rows("levels")) == [3, 10]
        assert [row["times"] for row in stock.rows("tallies")] == [1, 1]
        assert [stock.rows(name) for name in ("reserved", "refusals", "dead-letters")] == [[], [], []]
        worker.stop()
    ours = [("larder.generation", b"1")]
    newer = Sent("p1", {"key": "cDE=", "when": "noon"}, home, ours)
    stock.beside.call(send(stock.kafka, wake_ups, [newer]))
    with running(worker := stock.tallying('zone: str = "there"', "here")):
        line = worker.until_logged(rf"internal topic {wake_ups}, partition {home}: .*")
        assert "start the version of Larder that wrote these records; or discard them" in line
        worker.until(lambda _: held_back(worker, "internal topic") >= 2, what="the requests of p1 held back")
        assert not [row for row in stock.rows("reserved") if row["product_id"] == "p1"]
        stock.beside.call(send(stock.kafka, wake_ups, [Sent("p1", None, home, ours)]))
        stock.until_answered()
        worker.until_caught_up()
        stock.judge()
        assert {row["zone"] for row in stock.levels().values()} == {"here"}
        assert [row["times"] for row in stock.rows("tallies") if row.get("zone")] == [2, 2]
