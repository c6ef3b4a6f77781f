"""The process as a whole: what holds whatever the order, the doubling and the timing of all that happens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from random import Random
from typing import Any, Final

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from agents import fraud as checking
from agents.orders import CHECKS
from tables import booking, fraud, shipments, stock
from tables.order_states import MOVES, State
from tests.process.simulation import Fate, Simulation

FATES: Final[Sequence[Fate]] = ("answer lost", "away", "late")
TAKES = 12
"""How often a record is taken. How often the rest happens is up to each story."""


def story(seed: int, length: int) -> Iterator[tuple[Any, ...]]:
    """Tell what happens, step by step; with a smaller `length`, the beginning of the same story."""
    random = Random(seed)  # noqa: S311 - a game
    rare = {name: random.choice((0.2, 1, 3)) for name in ("cancel", "deliver", "repeat", "arrive", "wait")}
    weights = rare | {"take": TAKES, "place": random.choice((1, 3, 6)), "trouble": random.choice((0, 1, 3))}
    yield from (("deliver", 0, 10), ("deliver", 1, 3, 2), ("deliver", 2, 10))
    for name in random.choices(list(weights), list(weights.values()), k=length):
        match name:
            case "place":
                yield name, random.randrange(12), random.randrange(3), random.randrange(5), random.randint(1, 4)
            case "cancel":
                yield name, random.randrange(12)
            case "deliver":
                yield name, random.randrange(3), random.randint(1, 5), random.choice((None, 0, 3))
            case "take":
                yield name, random.getrandbits(32), random.choice((1, 5, 20))
            case "trouble":
                yield name, random.choice(FATES), random.choice((1, 3, 60))
            case "wait":
                yield name, random.choice((0.5, 2, 4, 11, 1_300))
            case _:
                yield name, random.getrandbits(32)


@pytest.mark.timeout(300)  # on a machine that runs other tests
@settings(max_examples=75, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(st.integers(0, 1 << 32), st.integers(20, 200))
def test_whatever_happens_the_books_are_right_in_the_end(seed: int, length: int) -> None:
    with Simulation() as simulation:
        for name, *arguments in story(seed, length):
            getattr(simulation, name)(*arguments)
            shelves_are_right(simulation)
        simulation.settle()
    shelves_are_right(simulation)
    moves_are_legal(simulation)
    nothing_is_stuck(simulation)
    stock_is_sold_to_whom_it_was_promised(simulation)
    money_is_that_of_paid_orders(simulation)
    one_mail_for_each_order(simulation)
    nobody_spends_too_much(simulation)
    replicas_agree(simulation)


def shelves_are_right(simulation: Simulation) -> None:
    for each in simulation.drivers["stock"].table(stock.levels).rows():
        assert each.free >= 0
        assert each.free + sum(each.reserved.values()) + each.sold == each.delivered


def moves_are_legal(simulation: Simulation) -> None:
    states: dict[str, list[State]] = {}
    for row in simulation.log["sales.orders"]:
        states.setdefault(row.order_id, []).append(row.state)
        assert row.state in {"requested", "rejected", "cancelled"} or set(row.passed) == CHECKS
    for order, passed in states.items():
        assert passed[0] == "requested", order
        assert all(after in MOVES[before].values() for before, after in pairwise(passed)), passed


def nothing_is_stuck(simulation: Simulation) -> None:
    assert {each.state for each in simulation.orders.values()} <= {"shipped", "rejected", "cancelled"}


def stock_is_sold_to_whom_it_was_promised(simulation: Simulation) -> None:
    bought = {(each.product_id, each.number): each.pieces for each in simulation.log["warehouse.bought"]}
    for level in simulation.drivers["stock"].table(stock.levels).rows():
        product = level.product_id
        sold = [each.quantity for each in simulation.orders.values() if each.product_id == product and is_paid(each)]
        assert (level.reserved, level.sold) == ({}, sum(sold))
        pieces = sum(count for (of, _), count in bought.items() if of == product)
        assert level.delivered == simulation.delivered[product] + pieces


def is_paid(order: object) -> bool:
    return getattr(order, "state", "") in {"paid", "confirmed", "shipped"}


def money_is_that_of_paid_orders(simulation: Simulation) -> None:
    paid = {each.order_id: each.amount for each in simulation.orders.values() if is_paid(each)}
    assert simulation.outside.charges == paid


def one_mail_for_each_order(simulation: Simulation) -> None:
    orders = simulation.orders
    assert set(simulation.outside.mails) == set(orders)
    said = {"shipped": "confirmed", "rejected": "cannot", "cancelled": "cancelled"}
    for order, mail in simulation.outside.mails.items():
        assert said[orders[order].state] in mail["text"]
    settled = [each.order_id for each in simulation.log["sales.letters"]]
    assert set(settled) == set(orders)


def nobody_spends_too_much(simulation: Simulation) -> None:
    for customer in {each.customer_id for each in simulation.orders.values()}:
        valid = [each for each in simulation.orders.values() if each.customer_id == customer and is_paid(each)]
        for last in valid:
            window = [
                each.amount for each in valid if last.placed_at - checking.WINDOW < each.placed_at <= last.placed_at
            ]
            assert sum(window) <= checking.LIMIT
    for row in simulation.drivers["fraud"].table(fraud.spending).rows():
        assert sum(each.amount for each in row.spent.values()) <= checking.LIMIT


def replicas_agree(simulation: Simulation) -> None:
    orders = simulation.orders
    statuses = simulation.drivers["booking"].table(booking.statuses).rows()
    assert {each.order_id: each.state for each in statuses} == {order: each.state for order, each in orders.items()}
    histories = simulation.drivers["shipments"].table(shipments.histories).rows()
    assert {each.order_id: each.steps[-1].state for each in histories} == {
        order: each.state for order, each in orders.items()
    }
    assert all(len(each.steps) == orders[each.order_id].step for each in histories)
