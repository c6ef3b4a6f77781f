"""A service that charges orders at a provider: a small HTTP server that counts by key, and workers that run it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support.topics import create
from tests.support.workers import Worker, larder, running

MODULE = """
import asyncio
import json
import os
import urllib.request

from larder import EventTopic, OwnerTopic, Retry, Row, Service, Unavailable
from larder.types import Attempt, GaveUp


class Order(Row):
    order_id: str
    customer: str
    amount: int = 1


class Paid(Row):
    order_id: str
    amount: int
    attempt: int


class NotPaid(Row):
    order_id: str
    reason: str


orders = EventTopic("{prefix}.orders", Order, key="order_id", partitions=4)
paid = EventTopic("{prefix}.paid", Paid, key="order_id", partitions=2)
not_paid = EventTopic("{prefix}.not-paid", NotPaid, key="order_id", partitions=2)
service = Service("{prefix}")


def gave_up(order: Order, why: GaveUp) -> NotPaid:
    return NotPaid(order_id=order.order_id, reason=why.reason)


def ask(order: Order, attempt: Attempt) -> None:
    request = urllib.request.Request(
        "{provider}/charges",
        data=json.dumps({"amount": order.amount, "order": order.order_id}).encode(),
        headers={"Idempotency-Key": attempt.key},
    )
    try:
        urllib.request.urlopen(request, timeout=5).read()
    except urllib.error.HTTPError as error:
        if error.code >= 500:
            raise Unavailable(f"the provider answered {error.code}") from error
        raise ValueError(f"the provider refused: {error.code}") from error


@service.call(orders.by("customer"), into=[paid, not_paid], {options})
async def charge(order: Order, attempt: Attempt) -> Paid:
    if order.customer.startswith("exits"):
        os._exit(1)
    await asyncio.to_thread(ask, order, attempt)
    return Paid(order_id=order.order_id, amount=order.amount, attempt=attempt.number)
"""

OPTIONS = """
    key=lambda order: order.order_id, timeout=2.0, otherwise=gave_up,
    retry=Retry(first=0.2, most=1.0, within=60.0, attempts=3),
"""


class Provider:
    """An HTTP server that charges by key.

    `down`: it answers 503. `slow`: seconds before it answers. `refuses`: whether it refuses negative amounts.
    """

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
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
                status = provider.charge(self.headers["Idempotency-Key"], body)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._waiting = threading.Event()
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def charge(self, key: str, body: dict[str, Any]) -> int:
        """Charge once for each key; return the status of the answer."""
        with self._lock:
            self.requests[key] += 1
            if self.down:
                return 503
            if self.refuses and body["amount"] < 0:
                return 422
            self.charges[key] = body["amount"]
        self._waiting.wait(self.slow)
        return 200

    def close(self) -> None:
        """Stop it, and answer what waits."""
        self._waiting.set()
        self._server.shutdown()
        self._server.server_close()


class Payments:
    """Workers of the service; `name` is that of the service, and the prefix of its topics."""

    def __init__(
        self, kafka: str, directory: Path, name: str, provider: Provider, workers: int, options: str = OPTIONS
    ) -> None:
        self.kafka = kafka
        self.directory = directory
        self.name = name
        self.provider = provider
        module = MODULE.replace("{prefix}", name).replace("{provider}", provider.address)
        module = module.replace("{options}", options)
        names = ("one", "two", "three")[:workers]
        self.workers = [Worker(kafka, directory, module, name, worker) for worker in names]

    def larder(self, *words: str) -> Any:
        """Run a subcommand, and return what it printed as JSON."""
        ended = larder(
            *words, "--json", kafka=self.kafka, directory=self.directory, module=self.workers[0].module, timeout=90
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return json.loads(ended.stdout)


@contextmanager
def paying(kafka: str, directory: Path, name: str, workers: int = 3, options: str = OPTIONS) -> Iterator[Payments]:
    """Run the provider and the workers during the block; `options` are those of the call."""
    provider = Provider()
    try:
        asyncio.run(create(kafka, {f"{name}.orders": 4}))
        found = Payments(kafka, directory, name, provider, workers, options)
        with running(*found.workers):
            for worker in found.workers:
                worker.until_caught_up()
            yield found
            for worker in found.workers:
                assert worker.stop() == 0, worker.text[-4000:]
    finally:
        provider.close()
