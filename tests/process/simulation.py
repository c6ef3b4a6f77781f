"""The process as a whole, without a broker: a driver for each service, and all that may happen between them.

A test says what happens, step by step: which record reaches a service next, which comes again, what goes wrong outside,
when the clock moves. Of one key, records come in the order of their topic at first; nothing else is in any order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any, Final, Literal, Self, TypeAlias
from unittest.mock import patch

import msgspec

from agents import booking, fraud, mailing, orders, outside, payments, pricing, shipments, stock
from app.provider import Outside
from larder import EventTopic, OwnerTopic, Row, Service, Unavailable
from larder.declaring.sources import events_of
from larder.testing import Driver, MemoryAnswer, MemoryRecord
from larder.types import Attempt
from tables import orders as sales
from tables import shop
from tables.orders import Order

SERVICES: Final = (
    orders.orders,
    stock.stock,
    fraud.fraud,
    payments.payments,
    shipments.shipments,
    booking.booking,
    mailing.mailing,
    pricing.pricing,
)
PRODUCTS: Final = tuple(
    shop.Product(product_id=f"p{number}", name=f"Lamp {number}", price=price, revision=1)
    for number, price in enumerate((1.0, 400.0, 50.5, 9.99))
)
"""Of the last one there is no stock."""

KNOWN: Final = tuple(
    shop.Customer(customer_id=f"c{number}", name=f"Ada {number}", country="AT", revision=1) for number in range(2)
)

Fate = Literal["answer lost", "away", "late"]
"""What goes wrong when the outside is asked: it acts but does not answer; it does not act; or it acts so late that the
attempt has timed out by then."""


@dataclass
class Sent:
    """A request that is still on its way to the outside: nobody waits for its answer any more."""

    kind: str
    key: str
    body: Mapping[str, Any]


@dataclass
class Subscription:
    """What one reader of a topic has been sent, by key, and what it has taken."""

    waiting: defaultdict[bytes | None, list[MemoryRecord]] = field(default_factory=lambda: defaultdict(list))
    taken: list[MemoryRecord] = field(default_factory=list)


Place: TypeAlias = tuple[str, str]
"""A service and a topic that it reads."""


class Simulation:
    """All services, the topics between them, and the outside."""

    def __init__(self) -> None:
        self.drivers = {service.name: Driver(service) for service in SERVICES}
        self.outside = Outside()
        self.log: defaultdict[str, list[Any]] = defaultdict(list)
        self.fates: list[Fate] = []
        self.late: list[Sent] = []
        self._patched = patch.object(outside, "ask", self._ask)
        self.delivered: defaultdict[str, int] = defaultdict(int)
        self._own = {service.name: _written(service) for service in SERVICES}
        self._readers = {(service.name, topic): Subscription() for service in SERVICES for topic in _read(service)}
        for topic, rows in ((shop.products, PRODUCTS), (shop.customers, KNOWN)):
            for row in rows:
                self._publish(topic, row)
        self.run()

    def __enter__(self) -> Self:
        """Ask the outside of the simulation in place of a real one."""
        self._patched.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._patched.stop()

    @property
    def orders(self) -> dict[str, Order]:
        """The orders as they are now."""
        return {each.order_id: each for each in self.drivers["orders"].table(sales.orders).rows()}

    def request(self, service: str, address: str, body: Any = None, once: str | None = None) -> MemoryAnswer:
        """Send a request."""
        answer = self.drivers[service].request(address, body, once=once)
        self._collect(service)
        return answer

    def place(self, order: int, customer: int = 0, product: int = 0, quantity: int = 1) -> MemoryAnswer:
        """Place an order; the same one with the same key."""
        body = {
            "order_id": f"o{order}", "customer_id": f"c{customer}", "product_id": f"p{product}", "quantity": quantity
        }  # fmt: skip
        return self.request("orders", "POST /orders", body, once=f"the-key-of-order-{order}")

    def cancel(self, order: int) -> MemoryAnswer:
        """Cancel an order."""
        return self.request("orders", f"POST /orders/o{order}/cancel")

    def deliver(self, product: int, pieces: int, low: int | None = None) -> None:
        """Deliver pieces of a product."""
        body = {"product_id": f"p{product}", "pieces": pieces, "low": low}
        assert self.request("stock", "POST /deliveries", body).status in {200, 201}
        self.delivered[f"p{product}"] += pieces

    def take(self, seed: int, most: int = 1) -> None:
        """Let readers take so many records, in an order that the seed chooses."""
        random = Random(seed)  # noqa: S311 - a game
        for _ in range(most):
            if not (ready := list(self._ready())):
                return
            place, key = random.choice(ready)
            subscription = self._readers[place]
            record = subscription.waiting[key].pop(0)
            subscription.taken.append(record)
            self._give(place, record)

    def repeat(self, seed: int) -> None:
        """Give a record again to somebody who has taken it some time before."""
        random = Random(seed)  # noqa: S311 - a game
        if taken := [place for place, each in self._readers.items() if each.taken]:
            place = random.choice(taken)
            self._give(place, random.choice(self._readers[place].taken))

    def trouble(self, fate: Fate, times: int) -> None:
        """Let something go wrong the next times that the outside is asked."""
        self.fates = [fate] * times

    def arrive(self, seed: int) -> None:
        """Let a late request arrive at the outside."""
        if self.late:
            late = self.late.pop(seed % len(self.late))
            self.outside.answer(late.kind, late.key, late.body)

    def wait(self, seconds: float) -> None:
        """Move the clocks."""
        for name, driver in self.drivers.items():
            driver.advance_to(driver.now + timedelta(seconds=seconds))
            self._collect(name)

    def run(self) -> None:
        """Let all that is under way come to an end, without the clock."""
        while any(True for _ in self._ready()) or self.late:
            self.take(0, 1_000)
            self.arrive(0)

    def settle(self) -> None:
        """Let all that is under way come to an end, with the clock: calls that wait for their row give up last."""
        self.fates.clear()
        for _ in range(14):
            self.run()
            self.wait(61)

    def _ready(self) -> Iterator[tuple[Place, bytes | None]]:
        for place, subscription in self._readers.items():
            for key, records in subscription.waiting.items():
                if records:
                    yield place, key

    def _give(self, place: Place, record: MemoryRecord) -> None:
        service, topic = place
        self.drivers[service].send(topic, record.value, key=record.key, headers=record.headers)
        self._collect(service)

    def _collect(self, service: str) -> None:
        """Publish what a service has written."""
        driver = self.drivers[service]
        assert driver.dead_letters() == []
        for topic in next(each for each in SERVICES if each.name == service).written:
            for record in driver.read(topic):
                self._send(topic.name, record)

    def _publish(self, topic: EventTopic | OwnerTopic, row: Row) -> None:
        """Publish a row of somebody else, or of a call."""
        key = topic.key_codec.encode(getattr(row, topic.key))
        self._send(topic.name, MemoryRecord(key, msgspec.json.encode(row), 0, row_type=topic.row))

    def _send(self, topic: str, record: MemoryRecord) -> None:
        self.log[topic].append(record.row)
        for (service, read), subscription in self._readers.items():
            if read == topic and read in self._own[service]:
                subscription.taken.append(record)  # its driver has passed it on
            elif read == topic:
                subscription.waiting[record.key].append(record)

    async def _ask(self, path: str, body: Mapping[str, Any], attempt: Attempt, *accepted: int) -> outside.Answer:
        """Ask the outside as `agents.outside.ask` does."""
        kind, fate = path.removeprefix("/"), self.fates.pop() if self.fates else None
        if fate == "away":
            raise Unavailable
        if fate == "late":
            self.late.append(Sent(kind, attempt.key, body))
            raise TimeoutError
        status, told = self.outside.answer(kind, attempt.key, body)
        if fate == "answer lost":
            raise Unavailable
        outside.check(path, status, accepted)
        return outside.Answer(status, told)


def _read(service: Service) -> set[str]:
    """Return the topics that a service reads."""
    return {table.topic.name for table in service.tables} | {events_of(source).name for source in service.sources}


def _written(service: Service) -> set[str]:
    return {topic.name for topic in service.written}
