"""A service that takes reservations of items over HTTP, ten of each, and three workers that run it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.workers import Worker, larder, running

MODULE = """
from larder import Decision, Delete, EventTopic, OwnerTopic, Row, Service


class Reserve(Row):
    item: str
    reservation: str
    amount: int = 1


class Release(Row):
    item: str


class Keep(Row):
    item: str
    tenant: str
    amount: int = 1


class Stock(Row):
    item: str
    reserved: int
    revision: int = 0


class Reserved(Row):
    item: str
    reservation: str


stock_topic = OwnerTopic("{prefix}.stock", Stock, key="item", revision="revision", partitions=4)
reserved = EventTopic("{prefix}.reserved", Reserved, key="item")
service = Service("{prefix}")
stock = service.table(stock_topic)


@service.request("POST /reservations", state=stock, into=reserved)
def reserve(request: Reserve, row: Stock | None) -> Decision:
    if request.amount < 0:
        raise ValueError("less than nothing")
    before = row.reserved if row else 0
    if before + request.amount > 10:
        return Decision(refuse=f"10 there are, {before} are reserved")
    event = Reserved(item=request.item, reservation=request.reservation)
    return Decision(Stock(item=request.item, reserved=before + request.amount), emit=event)


@service.request("POST /reservations/{item}/release", state=stock)
def release(request: Release, row: Stock | None) -> Decision:
    return Decision(Delete(request.item)) if row else Decision(refuse="nothing is reserved")


@service.request("POST /kept", state=stock, scope="tenant")
def keep(request: Keep, row: Stock | None) -> Decision:
    return Decision(Stock(item=request.item, reserved=request.amount + (row.reserved if row else 0)))


@service.predicate(stock)
def sold_out(row: Stock) -> bool:
    if row.item.startswith("broken"):
        raise ValueError("no predicate for this one")
    return row.reserved >= 10
"""


class Reservations:
    """Three workers of the service; `name` is that of the service, and the prefix of its topics."""

    def __init__(self, kafka: str, directory: Path, name: str) -> None:
        self.kafka = kafka
        self.directory = directory
        self.name = name
        module = MODULE.replace("{prefix}", name)
        self.workers = [Worker(kafka, directory, module, name, worker) for worker in ("one", "two", "three")]

    def scale(self, partitions: int) -> dict[str, Any]:
        """Run `larder scale` to its end, and return the growth that it printed."""
        ended = larder(
            "scale", self.name, "--partitions", str(partitions), "--json",
            kafka=self.kafka, directory=self.directory, module=self.workers[0].module, timeout=90,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stdout + ended.stderr
        found: dict[str, Any] = json.loads(ended.stdout)["growth"]
        return found

    def owner_of(self, item: str) -> Worker:
        """Return the worker that decides on an item."""
        _, answer = self.workers[0].post("/reservations", {"item": item, "reservation": "r", "amount": 0})
        return next(worker for worker in self.workers if worker.name == answer["worker"])

    def others(self, item: str) -> list[Worker]:
        """Return the workers that do not decide on an item."""
        owner = self.owner_of(item)
        return [worker for worker in self.workers if worker is not owner]


@contextmanager
def reserving(kafka: str, directory: Path, name: str) -> Iterator[Reservations]:
    """Run the workers during the block."""
    found = Reservations(kafka, directory, name)
    with running(*found.workers):
        for worker in found.workers:
            worker.until_caught_up()
        yield found
        for worker in found.workers:
            assert worker.stop() == 0, worker.text[-4000:]
