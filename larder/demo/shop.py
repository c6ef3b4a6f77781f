"""What happens in the demo's shop: rows and orders as messages. Pure; time and chance come in from outside.

Most orders are of known customers. Now and then one comes some seconds before its customer, so that waiting is seen,
and one has a customer that never comes. Now and then a customer moves to another country.
"""

from __future__ import annotations

import re
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from larder.client.publishing import Message

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

CUSTOMERS = 1_000
PRODUCTS = 100

# Seconds. Rare enough that most orders are joined at once, often enough to be seen within a short demo.
MOVE_EVERY = 0.5
EARLY_ORDER_EVERY = 2.0
EARLY_BY = 3.0
STRAY_EVERY = 5.0

_FIRST = ("Ada", "Alan", "Barbara", "Edsger", "Grace", "Ken", "Leslie", "Margaret", "Niklaus", "Tony")
_LAST = ("Dijkstra", "Hamilton", "Hoare", "Hopper", "Lamport", "Liskov", "Lovelace", "Thompson", "Turing", "Wirth")
_COUNTRIES = ("AT", "BE", "CH", "DE", "ES", "FR", "IE", "IT", "NL", "PL", "PT", "SE")
_GOODS = ("Lamp", "Chair", "Table", "Shelf", "Mug", "Plate", "Clock", "Rug", "Vase", "Kettle")


class Shop:
    """The state of the shop: revisions of its customers, and the number of its next order."""

    def __init__(self, revisions: Mapping[str, int], next_order: int, random: Random, now: float) -> None:
        """Go on from `revisions`, by customer id, as they were published last. Times in seconds since 1970."""
        self._revisions = dict(revisions)
        self._next_order = next_order
        self._next_customer = max(map(_number, revisions), default=0) + 1
        self._random = random
        self._known = [customer.encode() for customer in revisions]
        self._coming: deque[tuple[float, str]] = deque()
        self._moves = _Rhythm(now, MOVE_EVERY)
        self._early_orders = _Rhythm(now, EARLY_ORDER_EVERY)
        self._strays = _Rhythm(now, STRAY_EVERY)

    def open(self, count: int = CUSTOMERS) -> list[Message]:
        """Give the customers that there have to be from the beginning, and are not there yet."""
        ids = map(_customer_id, range(1, count + 1))
        return [self._arrival(customer) for customer in ids if customer not in self._revisions]

    def orders(self, count: int, now: float) -> list[Message]:
        """Give the next orders."""
        customers = self._random.choices(self._known, k=count)
        if self._early_orders.due(now):
            early = _customer_id(self._next_customer)
            self._next_customer += 1
            self._coming.append((now + EARLY_BY, early))
            customers[0] = early.encode()
        if self._strays.due(now):
            customers[-1] = b"nobody-%d" % self._next_order
        numbers = range(self._next_order, self._next_order + count)
        self._next_order += count
        goods = self._random.choices(_GOODS_AND_PRICES, k=count)
        at = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").encode()
        return [
            Message(b"o%09d" % number, _order(number, customer, *good, at))
            for number, customer, good in zip(numbers, customers, goods, strict=True)
        ]

    def changes(self, now: float) -> list[Message]:
        """Give what has become of customers: those that were ordered for in advance, and one that moved."""
        changed = []
        while self._coming and self._coming[0][0] <= now:
            changed.append(self._arrival(self._coming.popleft()[1]))
        if self._moves.due(now):
            customer = self._random.choice(self._known).decode()
            self._revisions[customer] += 1
            changed.append(_customer(customer, self._revisions[customer]))
        return changed

    def someone(self) -> str:
        """Give the id of a customer, for people to look up."""
        return self._known[0].decode()

    def _arrival(self, customer: str) -> Message:
        self._revisions[customer] = 1
        self._known.append(customer.encode())
        self._next_customer = max(self._next_customer, _number(customer) + 1)
        return _customer(customer, 1)


class _Rhythm:
    """Something that is due at once, and then again and again."""

    def __init__(self, now: float, seconds: float) -> None:
        self._next = now
        self._seconds = seconds

    def due(self, now: float) -> bool:
        if now < self._next:
            return False
        self._next = now + self._seconds
        return True


def products(count: int = PRODUCTS) -> list[Message]:
    """Give the products, which never change."""
    return [_product(number) for number in range(1, count + 1)]


def is_customer_id(text: str) -> bool:
    """Say whether a customer id is one of this shop's."""
    return re.fullmatch(r"c[0-9]{5,}", text) is not None


def _customer_id(number: int) -> str:
    return f"c{number:05d}"


def _number(customer: str) -> int:
    return int(customer.removeprefix("c"))


def _customer(customer: str, revision: int) -> Message:
    number = _number(customer)
    name = f"{_FIRST[number % 10]} {_LAST[number // 10 % 10]}"
    country = _COUNTRIES[(number + revision) % len(_COUNTRIES)]
    row = f'{{"customer_id":"{customer}","name":"{name}","country":"{country}","revision":{revision}}}'
    return Message(customer.encode(), row.encode())


def _product(number: int) -> Message:
    product, name, cents = f"p{number:03d}", _GOODS[number % 10], _price(number)
    row = f'{{"product_id":"{product}","name":"{name} {number}","price":{cents / 100:.2f},"revision":1}}'
    return Message(product.encode(), row.encode())


def _price(number: int) -> int:
    """Give the price of a product in cents."""
    return 199 + number * 3_700 % 20_000


_GOODS_AND_PRICES = tuple((b"p%03d" % number, _price(number)) for number in range(1, PRODUCTS + 1))


def _order(number: int, customer: bytes, product: bytes, price: int, at: bytes) -> bytes:
    quantity = number % 3 + 1
    return _ORDER % (number, customer, product, quantity, *divmod(quantity * price, 100), at)


_ORDER = b'{"order_id":"o%09d","customer_id":"%b","product_id":"%b","quantity":%d,"amount":%d.%02d,"ordered_at":"%b"}'
