"""Runs over lists with requests: each takes its turn in the order in which topics and addresses are given."""

from __future__ import annotations

from datetime import timedelta

import pytest

from larder import Decision, Service
from larder.testing import MemoryAnswer, run_in_memory
from larder.types import DeclarationError, Near
from tests.larder.testing.rentals import (
    NOON,
    RELEASE,
    RESERVE,
    Delivered,
    Product,
    Release,
    Reserve,
    Reserved,
    Stock,
    delivered,
    priced,
    products,
    rentals,
    reserved,
    stock,
    totals,
)

ONCE = "the-key-of-a-client"
RING = Reserve(item="ring", amount=2)


def test_requests_are_decided_in_order_and_answered() -> None:
    requests = [RING, (None, RING), Reserve(item="watch"), (ONCE, b'{"item": "cup"}'), (ONCE, b'{"item": "cup"}')]
    cup = MemoryAnswer(201, Stock(item="cup", free=0, reserved=1, revision=1), 1)
    tea = Product(item="watch", price=3)
    result = run_in_memory(
        rentals(), {delivered: [Delivered(item="ring", amount=3)], RESERVE: requests, products: [tea]}
    )
    assert result.answers == {
        RESERVE: [
            MemoryAnswer(200, Stock(item="ring", free=1, reserved=2, revision=2), 2),
            MemoryAnswer(409, reason="only 1 are free"),
            MemoryAnswer(201, Stock(item="watch", free=0, reserved=1, revision=1), 1),
            cup,
            cup._replace(repeated=True),
        ],
        RELEASE: [],
    }
    assert [record.row.item for record in result[reserved]] == ["ring", "watch", "cup"]
    assert [record.row.product for record in result[priced]] == [None, tea, None]
    assert {record.row.item: record.row.reservations for record in result[totals]} == {"ring": 1, "watch": 1, "cup": 1}
    assert [record.row.reason for record in result["rentals.refusals"]] == ["only 1 are free"]
    assert result["rentals.dead-letters"] == []


def test_a_decide_and_the_requests_of_its_state_take_turns_as_they_are_given() -> None:
    events, requests, releases = [Delivered(item="ring", amount=3)], [RING], [Release(item="ring")]
    late = run_in_memory(rentals(), {RESERVE: requests, delivered: events, RELEASE: releases})
    assert [each.status for each in (*late.answers[RESERVE], *late.answers[RELEASE])] == [409, 200]
    early = run_in_memory(rentals(), {RELEASE: releases, delivered: events, RESERVE: requests})
    assert [each.status for each in (*early.answers[RESERVE], *early.answers[RELEASE])] == [200, 409]


def test_requests_that_are_not_given_never_come() -> None:
    result = run_in_memory(rentals(), {delivered: [Delivered(item="ring", amount=3)]})
    assert [record.row.free for record in result[stock]] == [3]
    assert result.answers == {RESERVE: [], RELEASE: []}


def test_a_request_makes_a_circle_only_if_it_is_given() -> None:
    service = rentals()
    held = next(each for each in service.tables if each.topic == stock)

    @service.request("POST /checks", state=held, into=reserved)
    def check(request: Release, _row: Stock | None, near: Near) -> Decision:
        return Decision(emit=Reserved(item=request.item, amount=near.get(held, request.item) is not None))

    assert run_in_memory(service, {RESERVE: [Reserve(item="cup")]}).answers[RESERVE][0].status == 201
    with pytest.raises(DeclarationError, match=r"a circle of .*POST /checks"):
        run_in_memory(service, {"POST /checks": [Release(item="cup")]})


def test_wake_ups_that_requests_set_fire_by_the_end() -> None:
    given = {RESERVE: [Reserve(item="ring", minutes=5)]}
    assert run_in_memory(rentals(), given)[stock][-1].row.reserved == 1
    until = NOON + timedelta(minutes=5)
    assert run_in_memory(rentals(), given, until=until)[stock][-1].row.reserved == 0


@pytest.mark.parametrize(
    ("address", "wrong", "told"),
    [
        (RESERVE, Release(item="ring"), "record 0 of POST /reservations: requires a row of Reserve, .*found a Release"),
        (
            "POST /orders",
            RING,
            "records of POST /orders: a run of rentals requires .*POST /reservations/{item}/release",
        ),
        ("POST /reservations/ring/release", b"", "records of POST /reservations/ring/release"),
    ],
)
def test_a_mistake_raises_a_problem_that_says_what_to_do(address: str, wrong: object, told: str) -> None:
    with pytest.raises(DeclarationError, match=told):
        run_in_memory(rentals(), {address: [wrong]})  # type: ignore[list-item]


def test_a_service_without_requests_has_no_answers() -> None:
    assert run_in_memory(Service("empty"), {}).answers == {}
