"""A service calls a provider for each order: each order is charged once, whatever happens to workers and provider."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from tests.cluster.payments import Payments, Provider, paying
from tests.conftest import unique
from tests.support.beside import Beside
from tests.support.topics import Sent, read, send


@pytest.fixture(scope="module")
def payments(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Payments]:
    with paying(kafka, tmp_path_factory.mktemp("calls"), unique("calls")) as found:
        yield found


class Customers:
    """Sends orders to the service, and reads what came of them."""

    def __init__(self, payments: Payments, beside: Beside, test: str) -> None:
        self.payments = payments
        self.provider: Provider = payments.provider
        self.test = unique(test)
        self._beside = beside

    def order(self, *numbers: int, customers: int = 10, amount: int = 1) -> list[str]:
        """Send orders of several customers; return their ids."""
        ids = [f"{self.test}-{number}" for number in numbers]
        sent = [
            Sent(each, {"order_id": each, "customer": f"{self.test}-c{number % customers}", "amount": amount})
            for each, number in zip(ids, numbers, strict=True)
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


@pytest.fixture
def customers(payments: Payments, beside: Beside, request: pytest.FixtureRequest) -> Customers:
    return Customers(payments, beside, request.node.name)


def test_each_order_is_charged_once_and_its_result_published_once(customers: Customers) -> None:
    ids = customers.order(*range(300), amount=7)
    found = customers.until("paid", 300)
    assert Counter(each["order_id"] for each in found) == Counter(ids)
    assert {each["amount"] for each in found} == {7}
    assert {customers.provider.requests[each] for each in ids} == {1}


def test_orders_wait_while_the_provider_is_down_and_are_charged_once_afterwards(customers: Customers) -> None:
    provider = customers.provider
    provider.down = True
    ids = customers.order(*range(100))
    deadline = time.monotonic() + 20
    while sum(provider.requests[each] for each in ids) < 10:
        assert time.monotonic() < deadline, "no calls within 20 s"
    time.sleep(3)
    provider.down = False
    began = time.monotonic()
    found = customers.until("paid", 100)
    assert time.monotonic() - began < 25
    assert Counter(each["order_id"] for each in found) == Counter(ids)
    assert customers.results("not-paid") == []
    assert all(each in provider.charges for each in ids)


def test_a_refused_order_is_given_up_and_the_others_go_on(customers: Customers) -> None:
    bad = customers.order(1000, amount=-1)
    good = customers.order(*range(50), customers=50)
    assert {each["order_id"] for each in customers.until("paid", 50)} == {*good}
    (given_up,) = customers.until("not-paid", 1)
    assert (given_up["order_id"], "refused: 422" in given_up["reason"]) == (bad[0], True)
    assert customers.provider.requests[bad[0]] == 3
