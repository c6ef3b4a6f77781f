"""A service calls a provider for each order: each order is charged once, whatever happens to workers and provider."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.cluster.payments import Customers, Payments, paying
from tests.conftest import unique
from tests.support.beside import Beside


@pytest.fixture(scope="module")
def payments(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Payments]:
    with paying(kafka, tmp_path_factory.mktemp("calls"), unique("calls")) as found:
        yield found


@pytest.fixture
def customers(payments: Payments, beside: Beside, request: pytest.FixtureRequest) -> Customers:
    return Customers(payments, beside, request.node.name)


def test_each_order_is_charged_once_and_its_result_published_once(customers: Customers) -> None:
    ids = customers.order(*range(300), amount=7)
    found = customers.until("paid", 300)
    assert Counter(each["order_id"] for each in found) == Counter(ids)
    assert {each["amount"] for each in found} == {7}
    assert {customers.provider.requests[each] for each in ids} == {1}


@pytest.mark.scenario("1.11")
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
