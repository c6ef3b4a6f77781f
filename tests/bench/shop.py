"""The data of the benchmark: rows and orders as functions of their number, so that each output can be checked alone.

Nothing is stored, and all runs are equal: a fixed seed is mixed into the numbers. Does not know Kafka.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

SEED = 20_26
KEY_FORMAT = "c%08d"
COUNTRIES = ("AT", "CH", "DE", "FR", "IT", "NL", "PL", "SE")

_KEY = KEY_FORMAT.encode()
_CUSTOMER = (
    b'{"customer_id":"c%08d","name":"Customer Number %08d of the Shop","country":"%b",'
    b'"email":"customer.%08d@mail.example.org","revision":%d}'
)
_ORDER = (
    b'{"order_id":"o%010d","customer_id":"c%08d","product_id":"p%06d","quantity":%d,"amount":%d.5,'
    b'"ordered_at":"2026-01-%02dT%02d:%02d:%02dZ"}'
)
_COUNTRIES = tuple(map(str.encode, COUNTRIES))


def customer_key(number: int) -> bytes:
    """Return the key of a customer, 9 bytes."""
    return _KEY % number


def customer(number: int, revision: int = 1) -> bytes:
    """Return a customer's row, about 155 bytes of JSON."""
    return _CUSTOMER % (number, number, _COUNTRIES[number % len(_COUNTRIES)], number, revision)


def order_key(number: int) -> bytes:
    """Return the key of an order, 11 bytes."""
    return b"o%010d" % number


def order(number: int, customer_number: int) -> bytes:
    """Return an order, about 150 bytes of JSON."""
    seconds = number % 2_419_200  # 28 days
    return _ORDER % (
        number,
        customer_number,
        number % 1000,
        number % 9 + 1,
        number % 500,
        seconds // 86_400 + 1,
        seconds // 3600 % 24,
        seconds // 60 % 60,
        seconds % 60,
    )


def customers_of(orders: Sequence[int] | range, customers: int) -> list[int]:
    """Return the number of the customer of each order: evenly distributed over all customers, in no order.

    The mixing is the finalizer of splitmix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators).
    """
    mixed = np.asarray(orders, dtype=np.uint64) + np.uint64(SEED * 0x9E3779B97F4A7C15 % 2**64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    numbers: list[int] = (mixed % np.uint64(customers)).tolist()
    return numbers
