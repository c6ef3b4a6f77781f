"""A worker is ready when each of its tables was caught up once and it has its place; then it stays so until it stops."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from app.readiness import Readiness
from tables.engine import Table
from tests.support.serving import NOW, Held
from tests.tables.engine.samples import customers, small_memory


@dataclass
class Running:
    phase: str = "starting"
    has_place: bool = False
    tables: dict[str, Any] = field(default_factory=dict)


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Table]:
    table = Table(customers, tmp_path, small_memory(), "global", lambda: NOW)
    table.open((0, 1), "id-1")
    yield table
    table.close()


def test_what_is_missing_is_named_until_nothing_is(table: Table) -> None:
    running = Running(tables={customers.name: Held(table, 2)})
    ready = Readiness(running, [customers.name])
    assert ready() == [
        "it is starting",
        "it has no place in its group yet",
        "table shop.customers partition 0 starting, at 0 of ?",
        "table shop.customers partition 1 starting, at 0 of ?",
    ]
    running.phase, running.has_place = "running", True
    table.observe(0, 0, NOW)
    table.observe(1, 5, NOW)
    assert ready() == ["table shop.customers partition 1 recovering, at 0 of 5"]
    table.apply(1, [], 5)
    assert not ready()


def test_who_was_ready_stays_so_while_the_broker_is_away_or_partitions_are_read_on_and_until_it_stops(
    table: Table,
) -> None:
    running = Running("running", has_place=True, tables={customers.name: Held(table, 2)})
    ready = Readiness(running, [customers.name])
    for partition in (0, 1):
        table.observe(partition, 0, NOW)
    assert not ready()
    table.state(0).disconnect()
    running.phase = "waiting for the broker at nowhere:1"
    assert not ready()
    running.phase = "stopping"
    assert ready() == ["it is stopping"]
