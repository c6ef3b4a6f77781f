"""Pictures on the pages are those that the program's tables give."""

from __future__ import annotations

from tests.support.documents import Block, blocks, page
from tests.support.pictures import order_states, phases


def test_the_picture_of_a_growth_has_the_phases_of_the_program() -> None:
    assert Block("text", phases()) in blocks(page("explanation/scaling")), phases()


def test_the_picture_of_an_order_has_the_moves_of_the_program() -> None:
    assert Block("text", order_states()) in blocks(page("explanation/order-process")), order_states()
