"""The events in the shop: customers, products and orders. Pure: the caller passes time and randomness.

Most orders are from known customers. Sometimes an order arrives a few seconds before its customer, so that a join has
to wait, or its customer never arrives. Sometimes a customer moves to another country.
"""

from __future__ import annotations

import re
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tables import shop
from tables.shop import Customer, Order, Product

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from random import Random

    from larder.demo import Publication

CUSTOMERS = 1_000

# Seconds. Rare enough that most orders are joined at once, but often enough to appear in a short demo.
MOVE_EVERY = 0.5
EARLY_ORDER_EVERY = 2.0
EARLY_BY = 3.0
UNKNOWN_CUSTOMER_EVERY = 5.0

_FIRST = ("Ada", "Alan", "Barbara", "Edsger", "Grace", "Ken", "Leslie", "Margaret", "Niklaus", "Tony")
_LAST = ("Dijkstra", "Hamilton", "Hoare", "Hopper", "Lamport", "Liskov", "Lovelace", "Thompson", "Turing", "Wirth")
_COUNTRIES = ("AT", "BE", "CH", "DE", "ES", "FR", "IE", "IT", "NL", "PL", "PT", "SE")
_GOODS = ("Lamp", "Chair", "Table", "Shelf", "Mug", "Plate", "Clock", "Rug", "Vase", "Kettle")


def _product(number: int) -> Product:
    cents = 199 + number * 3_700 % 20_000
    return Product(product_id=f"p{number:03d}", name=f"{_GOODS[number % 10]} {number}", price=cents / 100, revision=1)


PRODUCTS = tuple(_product(number) for number in range(1, 101))


class Shop:
    """The shop: the revisions of its customers, and the number of its next order."""

    def __init__(self, random: Random, customers: Iterable[Customer] = (), orders: int = 0) -> None:
        """Continue from what was published before: the current `customers`, and the number of `orders`."""
        self._random = random
        self._revisions = {each.customer_id: each.revision for each in customers if _is_ours(each.customer_id)}
        self._known = list(self._revisions)
        self._next_customer = max(map(_number, self._known), default=0) + 1
        self._next_order = orders + 1
        self._coming: deque[tuple[float, str]] = deque()
        self._moves = _Rhythm(MOVE_EVERY)
        self._early_orders = _Rhythm(EARLY_ORDER_EVERY)
        self._unknown_customers = _Rhythm(UNKNOWN_CUSTOMER_EVERY)

    def opening(self) -> Iterator[Publication]:
        """Yield all products, and the customers that are missing."""
        for product in PRODUCTS:
            yield shop.products, product
        for customer in map(_customer_id, range(1, CUSTOMERS + 1)):
            if customer not in self._revisions:
                yield shop.customers, self._arrival(customer)

    def beat(self, events: int, now: float) -> Iterator[Publication]:
        """Yield the customers that changed by `now`, then as many orders as there are `events`."""
        for customer in self._changes(now):
            yield shop.customers, customer
        for order in self._orders(events, now) if events else ():
            yield shop.orders, order

    def _changes(self, now: float) -> Iterator[Customer]:
        """Yield the customers whose orders came early, and one who moves."""
        while self._coming and self._coming[0][0] <= now:
            yield self._arrival(self._coming.popleft()[1])
        if self._moves.due(now):
            customer = self._random.choice(self._known)
            self._revisions[customer] += 1
            yield _customer(customer, self._revisions[customer])

    def _orders(self, count: int, now: float) -> Iterator[Order]:
        customers = self._random.choices(self._known, k=count)
        if self._early_orders.due(now):
            customers[0] = self._early_customer(now)
        if self._unknown_customers.due(now):
            customers[-1] = f"nobody-{self._next_order}"
        products = self._random.choices(PRODUCTS, k=count)
        at = datetime.fromtimestamp(now, UTC)
        for customer, product in zip(customers, products, strict=True):
            yield _order(self._next_order, customer, product, at)
            self._next_order += 1

    def _early_customer(self, now: float) -> str:
        """Return the id of a customer who arrives later."""
        customer = _customer_id(self._next_customer)
        self._next_customer += 1
        self._coming.append((now + EARLY_BY, customer))
        return customer

    def _arrival(self, customer: str) -> Customer:
        self._revisions[customer] = 1
        self._known.append(customer)
        self._next_customer = max(self._next_customer, _number(customer) + 1)
        return _customer(customer, 1)


class _Rhythm:
    """A timer that is due at once, and then every few seconds."""

    def __init__(self, seconds: float) -> None:
        self._next = 0.0
        self._seconds = seconds

    def due(self, now: float) -> bool:
        if now < self._next:
            return False
        self._next = now + self._seconds
        return True


def _customer_id(number: int) -> str:
    return f"c{number:05d}"


def _is_ours(customer: str) -> bool:
    return re.fullmatch(r"c[0-9]{5,}", customer) is not None


def _number(customer: str) -> int:
    return int(customer.removeprefix("c"))


def _customer(customer: str, revision: int) -> Customer:
    number = _number(customer)
    return Customer(
        customer_id=customer,
        name=f"{_FIRST[number % 10]} {_LAST[number // 10 % 10]}",
        country=_COUNTRIES[(number + revision) % len(_COUNTRIES)],
        revision=revision,
    )


def _order(number: int, customer: str, product: Product, at: datetime) -> Order:
    quantity = number % 3 + 1
    return Order(
        order_id=f"o{number:09d}",
        customer_id=customer,
        product_id=product.product_id,
        quantity=quantity,
        amount=round(quantity * product.price, 2),
        ordered_at=at,
    )
