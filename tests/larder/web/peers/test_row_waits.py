"""Clients wait for rows at one web port."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from uuid import UUID

import pytest

from larder.local_tables.table import LocalTable
from larder.store import Table, Token
from tests.larder.store.samples import customers, row, small_memory
from tests.support.serving import NOW, local_table, serving_from, sources

IDS = [str(UUID(int=number)) for number in (1, 2)]
WAITING = f"/tables/{customers.name}/rows/ada?wait=10"


@pytest.fixture
def tables(tmp_path: Path) -> Iterator[Sequence[LocalTable]]:
    """The same table as two generations of a service read it: from two topics."""
    stored = [Table(customers, tmp_path / str(number), small_memory(), "partition", lambda: NOW) for number in (1, 2)]
    for number, each in enumerate(stored):
        each.open([0], IDS[number])
    made = [local_table(each, 1) for each in stored]
    for number, held in enumerate(made):
        held.set_topic(IDS[number], 1)
    yield made
    for each in stored:
        each.close()


@pytest.mark.parametrize("after", ["", f"&after={Token(IDS[0], {0: 70}).text()}"])
async def test_a_client_goes_on_waiting_in_the_table_that_replaces_another(
    tables: Sequence[LocalTable], after: str
) -> None:
    read = {customers.name: tables[0]}
    async with serving_from(sources(read, clock=lambda: NOW)) as served, asyncio.timeout(9):
        for each in tables:
            each.stored.observe(0, 0, NOW)
        waiting = asyncio.create_task(served.get(WAITING + after))
        await asyncio.sleep(0.2)
        read[customers.name] = tables[1]
        tables[1].stored.apply(0, [row(0, "ada", 1)])
        status, found = await waiting
    assert (status, found["row"]["customer_id"]) == (200, "ada")
