"""System 5, a service that joins late from a backup: it reads the rest of the topic or refuses, and never has a gap."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.scenarios.conftest import Start
from tests.support.topics import COMPACTED, Sent, create, cut, send
from tests.support.workers import Worker

MODULE = """
    from larder import OwnerTopic, Row, Service

    class Customer(Row):
        customer_id: str

    customers = OwnerTopic("{p}.customers", Customer, key="customer_id", owner="crm")
    service = Service("{p}.service")
    service.{held}(customers)
"""

KINDS = ["global_table", "table"]


@pytest.mark.scenario("5.2")
@pytest.mark.parametrize("held", KINDS)
async def test_a_backup_is_complete_with_the_topic_from_its_offset_and_refused_without_it(
    kafka: str, prefix: str, tmp_path: Path, start: Start, held: str
) -> None:
    customers, module, backup = f"{prefix}.customers", MODULE.format(p=prefix, held=held), tmp_path / "backup"
    await create(kafka, {customers: 1}, COMPACTED)
    await send(kafka, customers, _rows(range(10)))
    worker = start(module, f"{prefix}.service")
    _until_rows(worker, 10)
    assert worker.stop() == 0
    shutil.copytree(worker.tables, backup)

    # Exactly the records of the backup are gone from the topic.
    await send(kafka, customers, _rows(range(10, 20)))
    await cut(kafka, customers, 10, COMPACTED)
    worker.start()
    _until_rows(worker, 20)
    assert worker.row(customers, "c3")[0] == worker.row(customers, "c13")[0] == 200
    assert worker.stop() == 0

    await cut(kafka, customers, 15, COMPACTED)
    newer = tmp_path / "newer"
    worker.tables.rename(newer)
    shutil.copytree(backup, worker.tables)
    for found, each in (("position 10 here", worker), ("no store here", start(module, f"{prefix}.service", "two"))):
        if each is worker:
            worker.start()
        assert each.exit_code() == 3
        line = each.text.splitlines()[-1]
        assert f"larder: table {customers}, partition 0: a table resumes at its position" in line
        assert f"found {found}, and a log from 15 to 20: records before that were deleted" in line
        assert "start once with --tables-from earliest" in line
        assert "Traceback" not in each.text

    # One fix: a more recent copy.
    shutil.rmtree(worker.tables)
    newer.rename(worker.tables)
    worker.start()
    _until_rows(worker, 20)
    assert worker.stop() == 0

    # The other: accept the remaining records. From then on, the service continues without the argument.
    left = start(module, f"{prefix}.service", "two", arguments=("--tables-from", "earliest"))
    _until_rows(left, 5)
    assert left.row(customers, "c3")[0] == 404
    assert left.stop() == 0
    again = start(module, f"{prefix}.service", "two")
    _until_rows(again, 5)
    assert again.stop() == 0


def _rows(numbers: Iterable[int]) -> list[Sent]:
    return [Sent(f"c{number}", {"customer_id": f"c{number}"}) for number in numbers]


def _until_rows(worker: Worker, count: int) -> None:
    assert worker.until_caught_up()["tables"][0]["rows"] == count
