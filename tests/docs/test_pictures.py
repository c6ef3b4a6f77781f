"""Pictures on the pages are those that the program's tables give."""

from __future__ import annotations

from tests.support.documents import Block, blocks, page
from tests.support.pictures import phases


def test_the_picture_of_a_growth_has_the_phases_of_the_program() -> None:
    assert Block("text", phases()) in blocks(page("explanation/scaling")), phases()
