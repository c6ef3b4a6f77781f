"""A followed table that lost rows in a rebuild holds back its users until an operator accepts the loss."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from larder import OwnerTopic
from larder.kafka.batch_consumer import ObservedEnd
from larder.local_tables.lost_rows import accepted_as
from larder.local_tables.role import TableRole
from larder.local_tables.table import LocalTable
from larder.store import Table
from tests.larder.store.samples import Sent, customers, other, row, small_memory, stricter

NOW, PATIENCE = 1_000.0, 5.0


def read(
    path: Path, topic: OwnerTopic = customers, *, followed: bool = True, accepted: str = "", decided_on: bool = False
) -> LocalTable:
    """Return a worker's table with partitions 0 and 1 read to their ends: five rows of `Customer` in each."""
    table = Table(topic, path, small_memory(), "partition", lambda: NOW)
    held = LocalTable(
        table, TableRole(followed=followed, decided_on=decided_on, losses_accepted=(accepted,)), PATIENCE, lambda: NOW
    )
    held.set_topic("id-1", 2)
    held.open([0, 1])
    for partition in (0, 1):
        held.apply(partition, [row(offset, f"c{partition}{offset}", 1) for offset in range(5)], 5)
        held.observe_end(partition, ObservedEnd(5, NOW))
    return held


@pytest.fixture
def path(tmp_path: Path) -> Path:
    held = read(tmp_path)
    assert held.at(0).caught_up()
    held.close()
    return tmp_path


def test_a_table_that_cannot_read_its_rows_is_not_caught_up_and_says_what_to_do(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    held = read(path, stricter)
    assert held.at(0).is_read()
    assert not held.at(0).caught_up()
    assert not held.at(1).caught_up()
    logged = [each.getMessage() for each in caplog.records if each.levelno == logging.ERROR]
    assert logged[0] == str(held.at(0).lost())
    assert "5 rows that cannot be read, of 5 that it had before" in logged[0]
    assert "for instance c00 at offset 0 of partition 0: the value requires the fields of Stricter" in logged[0]
    assert f"LARDER_ACCEPT_LOST_ROWS={accepted_as(stricter)}" in logged[0]
    held.apply(0, [Sent(5, b"c09", None)], 6)
    assert len(logged) == len([each for each in caplog.records if each.levelno == logging.ERROR]) == 2
    held.close()
    assert not read(path, stricter).at(0).caught_up()


def test_a_table_continues_once_its_row_type_can_read_the_rows(path: Path) -> None:
    read(path, stricter).close()
    held = read(path)
    assert held.at(0).caught_up()
    assert held.stored.shard(0).before is None


def test_a_loss_is_accepted_permanently_but_for_one_row_type_only(path: Path) -> None:
    held = read(path, stricter, accepted=accepted_as(other))
    assert not held.at(0).caught_up()
    held.close()
    held = read(path, stricter, accepted=accepted_as(stricter))
    assert held.at(0).caught_up()
    held.close()
    assert read(path, stricter).at(0).caught_up()


def test_rows_that_their_owner_publishes_again_are_not_lost(path: Path) -> None:
    held = read(path, stricter)
    rows = [{"customer_id": f"c0{n}", "name": "n", "street": "s", "revision": 2} for n in range(5)]
    held.apply(0, [Sent(5 + n, f"c0{n}".encode(), json.dumps(each).encode()) for n, each in enumerate(rows)], 10)
    assert held.at(0).caught_up()
    assert not held.at(1).caught_up()


def test_records_that_are_rejected_later_leave_the_existing_rows(path: Path) -> None:
    held = read(path)
    held.apply(0, [Sent(5 + n, f"c0{n}".encode(), b"{}") for n in range(5)], 10)
    assert held.unreadable(0) == 5
    assert held.at(0).caught_up()
    held.close()
    assert read(path).at(0).caught_up()


def test_a_new_worker_that_cannot_read_half_of_a_followed_table_holds_it_back(tmp_path: Path) -> None:
    held = read(tmp_path / "followed", stricter)
    assert not held.at(0).caught_up()
    assert "5 rows that cannot be read, and 0 that can" in str(held.at(0).lost())
    assert read(tmp_path / "own", stricter, followed=False).at(0).caught_up()


def test_a_state_held_back_by_unreadable_rows_does_not_log_that_it_continues(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    held = read(path, stricter, decided_on=True)
    assert held.unreadable(0) == 5
    assert not [each for each in caplog.records if "continues with" in each.getMessage()]
