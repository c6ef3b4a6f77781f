"""A service that charges orders at a provider: a small HTTP server that counts by key, and workers that run it."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from tests.conftest import unique
from tests.support.beside import Beside
from tests.support.topics import Sent, create, read, send
from tests.support.workers import Worker, larder, running

MODULE = """
import asyncio
import os
import time

import aiohttp

from larder import EventTopic, OwnerTopic, Retry, Row, Service, Unavailable
from larder.types import Attempt, GaveUp


class Order(Row):
    order_id: str
    customer: str
    amount: int = 1
    size: int = 0


class Paid(Row):
    order_id: str
    amount: int
    attempt: int
    note: str = ""


class NotPaid(Row):
    order_id: str
    reason: str


orders = EventTopic("{prefix}.orders", Order, key="order_id", partitions=4)
paid = EventTopic("{prefix}.paid", Paid, key="order_id", partitions=2)
not_paid = EventTopic("{prefix}.not-paid", NotPaid, key="order_id", partitions=2)
service = Service("{prefix}")


def gave_up(order: Order, why: GaveUp) -> NotPaid:
    return NotPaid(order_id=order.order_id, reason=why.reason)


async def ask(order: Order, attempt: Attempt) -> None:
    async with aiohttp.ClientSession() as session:
        body = {"amount": order.amount, "order": order.order_id}
        headers = {"Idempotency-Key": attempt.key, "Process": str(os.getpid())}
        async with session.post("{provider}/charges", json=body, headers=headers) as answer:
            if answer.status >= 500:
                raise Unavailable(f"the provider answered {answer.status}")
            if answer.status >= 400:
                raise ValueError(f"the provider refused: {answer.status}")


@service.call({source}, into=[paid, not_paid], {options})
{function}"""

BY_CUSTOMER = 'orders.by("customer")'

CHARGE = """async def charge(order: Order, attempt: Attempt) -> Paid:
    if order.customer.endswith("-exits"):
        os._exit(1)
    while order.customer.endswith("-hangs"):
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            continue
    await ask(order, attempt)
    return Paid(order_id=order.order_id, amount=order.amount, attempt=attempt.number, note="x" * order.size)
"""

BLOCKING = """def charge(order: Order, attempt: Attempt) -> Paid:
    while order.customer.endswith("-hangs"):
        time.sleep(60)
    return Paid(order_id=order.order_id, amount=order.amount, attempt=attempt.number)
"""
"""Runs in a thread, and blocks it for some customers."""

OPTIONS = """
    key=lambda order: order.order_id, otherwise=gave_up,
    timeout={timeout}, outages=[aiohttp.ClientConnectionError],
    retry=Retry(first=0.2, most=1.0, within=60.0, attempts=3),
"""


class Server(ThreadingHTTPServer):
    """Takes many connections at once: with the usual five, others would wait for seconds in the kernel."""

    request_queue_size = 1_024


class Request(NamedTuple):
    """A request that the provider got: its idempotency key, the process of the worker, and when, in monotonic time."""

    key: str
    process: int
    at: float


class Provider:
    """An HTTP server that charges by key.

    `down`: it answers 503. `slow`: seconds before it answers. `refuses`: whether it refuses negative amounts.
    """

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.noted: list[Request] = []
        self.charges: dict[str, int] = {}
        self.down = False
        self.slow = 0.0
        self.refuses = True
        self._lock = threading.Lock()
        provider = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                process = int(self.headers["Process"])
                status = provider.charge(Request(self.headers["Idempotency-Key"], process, time.monotonic()), body)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._waiting = threading.Event()
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def charge(self, request: Request, body: dict[str, Any]) -> int:
        """Charge once for each key; return the status of the answer."""
        with self._lock:
            self.requests[request.key] += 1
            self.noted.append(request)
            if self.down:
                return 503
            if self.refuses and body["amount"] < 0:
                return 422
            self.charges[request.key] = body["amount"]
        self._waiting.wait(self.slow)
        return 200

    def close(self) -> None:
        """Stop it, and answer what waits."""
        self._waiting.set()
        self._server.shutdown()
        self._server.server_close()


class Payments:
    """Workers of the service; `name` is that of the service, and the prefix of its topics."""

    def __init__(self, kafka: str, directory: Path, name: str, provider: Provider, workers: int, module: str) -> None:
        """Take the module's text with its settings, but without the name and the provider."""
        self.kafka = kafka
        self.directory = directory
        self.name = name
        self.provider = provider
        module = module.replace("{prefix}", name).replace("{provider}", provider.address)
        names = ("one", "two", "three")[:workers]
        self.workers = [Worker(kafka, directory, module, name, worker) for worker in names]

    def scale(self, partitions: int) -> None:
        """Run `larder scale` to its end."""
        assert self.larder("scale", self.name, "--partitions", str(partitions))["growth"]["phase"] == "done"

    def larder(self, *words: str) -> Any:
        """Run a subcommand, and return what it printed as JSON."""
        ended = larder(
            *words, "--json", kafka=self.kafka, directory=self.directory, module=self.workers[0].module, timeout=90
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return json.loads(ended.stdout)


class Customers:
    """Sends orders to the service, and reads what came of them."""

    def __init__(self, payments: Payments, beside: Beside, test: str) -> None:
        self.payments = payments
        self.provider: Provider = payments.provider
        self.test = unique(test)
        self._beside = beside

    def order(
        self, *numbers: int, customers: int = 10, customer: str = "", amount: int = 1, size: int = 0
    ) -> list[str]:
        """Send orders of several customers, each with a result of at least `size` bytes; return their ids."""
        ids = [f"{self.test}-{number}" for number in numbers]
        sent = [
            Sent(each, {"order_id": each, "customer": f"{self.test}-{whose}", "amount": amount, "size": size})
            for each, whose in zip(ids, (customer or number % customers for number in numbers), strict=True)
        ]
        self._beside.call(send(self.payments.kafka, f"{self.payments.name}.orders", sent))
        return ids

    def results(self, topic: str) -> list[dict[str, Any]]:
        """Return the events of this test in a topic of the service."""
        records = self._beside.call(read(self.payments.kafka, f"{self.payments.name}.{topic}"))
        events = [msgspec.json.decode(each.value or b"") for each in records]
        return [each for each in events if each["order_id"].startswith(self.test)]

    def until(self, topic: str, count: int, seconds: float = 30) -> list[dict[str, Any]]:
        """Wait until there are so many events of this test in a topic."""
        deadline = time.monotonic() + seconds
        while len(found := self.results(topic)) < count:
            assert time.monotonic() < deadline, f"{len(found)} of {count} events in {topic} after {seconds:g} s"
            time.sleep(0.1)
        return found


@contextmanager
def paying(
    kafka: str, directory: Path, name: str, *,
    workers: int = 3, options: str = OPTIONS, timeout: float = 10.0, ends_well: bool = True,
    source: str = BY_CUSTOMER, function: str = CHARGE,
) -> Iterator[Payments]:  # fmt: skip
    """Run the provider and the workers during the block.

    The call has the `source`, the `options` with their `timeout`, and the `function`.
    """
    settings = {"source": source, "function": function, "options": options, "timeout": str(timeout)}
    module = MODULE
    for setting, text in settings.items():
        module = module.replace(f"{{{setting}}}", text)
    provider = Provider()
    try:
        asyncio.run(create(kafka, {f"{name}.orders": 4}))
        found = Payments(kafka, directory, name, provider, workers, module)
        with running(*found.workers):
            for worker in found.workers:
                worker.until_caught_up()
            yield found
            for worker in found.workers:
                assert worker.stop() == 0 or not ends_well, worker.text[-4000:]
    finally:
        provider.close()
