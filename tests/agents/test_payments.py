"""Payments and mailing: what is to be asked of the outside, and what its answers mean."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
import pytest

from agents import outside
from agents.mailing import mailing
from agents.payments import charge, payments, void
from larder.testing import Driver
from larder.types import Attempt
from tables import shop
from tables.mailing import letters
from tables.orders import Order, changes, orders
from tables.payments import Charge, NotPaid, Paid, Void, Voided, charges, not_paid, voided, voids
from tests.agents.samples import change

ADA = shop.Customer(customer_id="c1", name="Ada", country="AT", revision=1)
WANTED = Charge(order_id="o1", customer_id="c1", amount=500)
FIRST = Attempt("o1", 1)


def order(revision: int, state: str) -> Order:
    fields = msgspec.structs.asdict(change(state, step=revision))
    return Order(**fields, revision=revision)


def test_a_valid_order_is_charged_and_voided_if_it_is_lost() -> None:
    with Driver(payments) as driver:
        for revision, state in ((1, "requested"), (2, "validated"), (2, "validated"), (3, "rejected")):
            driver.send(orders, order(revision, state))
        assert driver.read_rows(charges) == [WANTED]
        assert driver.read_rows(voids) == [Void(order_id="o1")]


def test_an_order_that_is_lost_while_the_provider_is_away_is_not_charged_later(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def ask(path: str, *_arguments: object) -> outside.Answer:
        asked.append(path)
        return outside.Answer(200, {"returned": 0})

    with Driver(payments) as driver:
        driver.send(orders, order(1, "validated"))
        driver.advance(minutes=1)
        driver.send(orders, order(2, "cancelled"))
        monkeypatch.setattr(outside, "ask", ask)
        driver.advance(minutes=20)
        assert driver.read_rows(voided) == [Voided(order_id="o1", returned=0)]
        assert [each.order_id for each in driver.read_rows(not_paid)] == ["o1"]
    assert asked == ["/voids"]


def test_an_order_that_was_never_valid_is_neither_charged_nor_voided() -> None:
    with Driver(payments) as driver:
        driver.send(orders, order(1, "requested"))
        driver.send(orders, order(2, "cancelled"))
        assert driver.read(charges) == driver.read(voids) == []


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (HTTPStatus.OK, {"charge_id": "x"}, Paid(order_id="o1", amount=500, charge_id="x")),
        (HTTPStatus.PAYMENT_REQUIRED, {"reason": "no money"}, NotPaid(order_id="o1", reason="no money")),
        (HTTPStatus.GONE, {"reason": "it was voided"}, NotPaid(order_id="o1", reason="it was voided")),
    ],
)
def test_the_answer_of_the_provider_says_whether_an_order_is_paid(
    monkeypatch: pytest.MonkeyPatch, status: HTTPStatus, body: Mapping[str, Any], said: Paid | NotPaid
) -> None:
    async def ask(*_arguments: object) -> outside.Answer:
        return outside.Answer(status, body)

    monkeypatch.setattr(outside, "ask", ask)
    assert asyncio.run(charge(WANTED, FIRST)) == said


def test_a_void_says_what_was_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask(path: str, *_arguments: object) -> outside.Answer:
        return outside.Answer(200, {"returned": 500 if path == "/voids" else 0})

    monkeypatch.setattr(outside, "ask", ask)
    assert asyncio.run(void(Void(order_id="o1"), FIRST)) == Voided(order_id="o1", returned=500)


def test_a_customer_gets_one_letter_when_an_order_is_settled() -> None:
    with Driver(mailing) as driver:
        driver.send(shop.customers, ADA)
        for step, state in enumerate(("requested", "validated", "rejected"), 1):
            driver.send(changes, change(state, step=step, reason="none left"))
        (letter,) = driver.read_rows(letters)
        assert letter.text == "Dear Ada, we cannot take your order o1 of 2 p1 (none left)."
