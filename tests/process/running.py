"""The process with real workers: one of each service, a broker, and the outside, each a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from random import choice
from typing import Any, Final
from zlib import crc32

from larder.client.requests import new_trace
from larder.local_broker.ports import free_port, is_free
from tests.support.brokers import local_broker
from tests.support.eventually import eventually
from tests.support.topics import create, send
from tests.support.workers import COMMAND, ROOT, Worker, none_left

SERVICES: Final = ("orders", "stock", "fraud", "payments", "shipments", "booking", "mailing")
LATER: Final = "pricing"
"""The service that is not there at first."""

CUSTOMERS: Final = tuple(f"c{number}" for number in range(1, 10))
"""None of them orders so much that it is refused."""

PATIENT: Final = {"LARDER_SESSION_TIMEOUT_S": "10", "LARDER_HEARTBEAT_S": "0.3"}
START: Final = 90.0
"""Seconds in which seven workers start, also on a machine that runs other tests."""


class OutsideProcess:
    """`python -m app.outside`, with its ledger and the switch of its faults."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._port = port

    @contextmanager
    def running(self) -> Iterator[None]:
        with running_program("app.outside", self._port, {}):
            eventually(self.ledger, lambda ledger: ledger is not None, 30)
            yield

    def ledger(self) -> Any:
        """Return what it has done; None while it does not answer."""
        try:
            with urllib.request.urlopen(f"{self.url}/ledger", timeout=5) as answer:  # noqa: S310 - loopback
                return json.load(answer)
        except OSError:
            return None

    def fail(self, kind: str, **faults: Any) -> None:
        asked = urllib.request.Request(  # noqa: S310 - loopback
            f"{self.url}/faults/{kind}", data=json.dumps(faults).encode(), method="PUT"
        )
        with urllib.request.urlopen(asked, timeout=5):  # noqa: S310 - loopback
            pass


@dataclass
class Running:
    """All workers by their service, the outside, and the orders that were placed."""

    kafka: str
    workers: dict[str, Worker]
    outside: OutsideProcess
    others: list[Worker] = field(default_factory=list)
    placed: dict[str, dict[str, Any]] = field(default_factory=dict)

    def place(self, order: str, product: str = "p1", *, wait: bool = True, **fields: Any) -> tuple[int, Any]:
        """Place an order, again until there is an answer, and wait for its end."""
        customer = CUSTOMERS[crc32(order.encode()) % len(CUSTOMERS)]
        body = {"order_id": order, "customer_id": customer, "product_id": product, "quantity": 1} | fields
        path = "/orders?until=settled&wait=10" if wait else "/orders"
        headers = {"Idempotency-Key": f"the-key-of-order-{order}", "traceparent": new_trace()}
        status, answer = eventually(
            lambda: self._post(path, body, headers),
            lambda found: found[0] not in {0, HTTPStatus.SERVICE_UNAVAILABLE},
            60,
        )
        assert status in {201, 202}, answer
        self.placed[order] = body
        return status, answer

    def _post(self, path: str, body: Any, headers: Mapping[str, str]) -> tuple[int, Any]:
        """Send a request to a worker of orders; status 0 also while it has no web port."""
        worker = choice(self.of("orders"))  # noqa: S311 - no secret
        return worker.post(path, body, headers) if worker.get("/health/live") else (0, {"cause": "no web port"})

    def deliver(self, product: str, pieces: int, low: int | None = None) -> None:
        body = {"product_id": product, "pieces": pieces, "low": low}
        status, answer = self.workers["stock"].post("/deliveries", body)
        assert status in {200, 201}, answer

    def of(self, service: str) -> list[Worker]:
        """Return the workers of a service, the first one first."""
        return [self.workers[service], *(each for each in self.others if each.service == service)]

    @contextmanager
    def more(self, service: str, names: Sequence[str]) -> Iterator[None]:
        """Run more workers of a service, until all have partitions."""
        first = self.workers[service]
        more = [Worker(self.kafka, first.directory, first.module, service, name, first.environment) for name in names]
        with none_left(*more):
            for worker in more:
                worker.start()
            for worker in more:
                worker.until(lambda status: status["phase"] == "running" and status["inputs"], START, "partitions")
            self.others += more
            yield
            for worker in more:
                self.others.remove(worker)
                assert worker.stop() == 0

    def add_pricing(self) -> None:
        """Start pricing, unless it runs already."""
        if not self.workers[LATER].log.exists():
            self.workers[LATER].start()
            until_running(self.workers[LATER])

    @contextmanager
    def counter(self) -> Iterator[str]:
        """Run the page for people, and return its address."""
        port = free_port()
        started = {name: worker for name, worker in self.workers.items() if worker.log.exists()}
        urls = {f"{name.upper()}_URL": f"http://127.0.0.1:{worker.web_port()}" for name, worker in started.items()}
        with running_program("app.counter", port, {**urls, "OUTSIDE_URL": self.outside.url}):
            eventually(lambda: is_free(port), lambda free: not free)
            yield f"http://127.0.0.1:{port}/"

    def row(self, service: str, table: str, key: str) -> Any:
        """Return a row of a service; None if there is none."""
        status, answer = self.workers[service].row(table, key)
        return answer["row"] if status == 200 else None

    def trace(self, key: str) -> Any:
        """Return the story of a key, as the command tells it in the project."""
        environment = {**os.environ, "KAFKA": self.kafka}
        told = subprocess.run(
            [*COMMAND, "trace", key, "--json"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        assert told.returncode == 0, told.stderr
        return json.loads(told.stdout)

    def until_state(self, order: str, *states: str, seconds: float = 30) -> Any:
        """Wait until an order has one of these states, and return it."""
        return eventually(
            lambda: self.row("orders", "sales.orders", order),
            lambda row: row is not None and row["state"] in states,
            seconds,
        )


@contextmanager
def running_program(module: str, port: int, environment: Mapping[str, str]) -> Iterator[None]:
    """Run a program of the application, and require that it ends well."""
    command = [sys.executable, "-m", module, "--port", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment})
    try:
        yield
    finally:
        process.terminate()
        assert process.wait(10) == 0


@contextmanager
def running_process(directory: Path, products: Mapping[str, str]) -> Iterator[Running]:
    """Start everything, with customers, and products, by id and name, that cost one."""
    outside = OutsideProcess(free_port())
    with local_broker(directory / "broker") as kafka, outside.running():
        asyncio.run(create(kafka, {"shop.products": 2, "shop.customers": 2}, {"cleanup.policy": "compact"}))
        rows = [
            {"product_id": product, "name": name, "price": 1.0, "revision": 1} for product, name in products.items()
        ]
        customers = [{"customer_id": each, "name": "Ada", "country": "AT", "revision": 1} for each in CUSTOMERS]
        asyncio.run(send(kafka, "shop.customers", [(row["customer_id"], row) for row in customers]))
        asyncio.run(send(kafka, "shop.products", [(row["product_id"], row) for row in rows]))
        environment = PATIENT | {"OUTSIDE_URL": outside.url}
        known = ",".join(f"agents.{name}" for name in SERVICES)
        workers = {name: Worker(kafka, directory, known, name, "one", environment) for name in SERVICES}
        workers[LATER] = Worker(kafka, directory, f"agents.{LATER}", LATER, "one", environment)
        with none_left(*workers.values()):
            for name in SERVICES:
                workers[name].start()
            for name in SERVICES:
                until_running(workers[name])
            yield Running(kafka, workers, outside)


def until_running(worker: Worker) -> None:
    """Wait until a worker processes its partitions."""
    worker.until(lambda status: status["phase"] == "running", START, "running")
