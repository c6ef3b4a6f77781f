"""A broker that was restored from a backup: tables that are ahead of their topics are read from scratch."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from larder.local_broker import LocalBroker
from larder.local_broker.ports import free_port
from tests.cluster.stages import KINDS, ROWS, customer, table
from tests.support.beside import Beside
from tests.support.topics import COMPACTED, create, send
from tests.support.workers import Worker, running


class Restorable:
    """A broker whose directory can be copied while it is down."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._broker = LocalBroker(directory, free_port())
        self.address = self._broker.bootstrap

    def start(self) -> None:
        self._broker.start()
        self._broker.wait_ready()

    def stop(self) -> None:
        self._broker.stop()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Restorable]:
    broker = Restorable(tmp_path / "broker")
    broker.start()
    yield broker
    broker.stop()


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_ahead_of_its_topic_is_rebuilt_with_a_log_line(
    broker: Restorable, prefix: str, beside: Beside, tmp_path: Path, kind: str
) -> None:
    kafka, customers = broker.address, f"{prefix}.customers"
    module = (ROWS + KINDS[kind]).replace("{prefix}", prefix).replace("{missing}", "PassOn")
    worker = Worker(kafka, tmp_path, module, prefix, environment={"LARDER_SESSION_TIMEOUT_S": "10"})
    beside.call(create(kafka, {customers: 1}, COMPACTED))
    beside.call(create(kafka, {f"{prefix}.orders": 1}))
    beside.call(send(kafka, customers, [customer("c1", 1), customer("c2", 1)]))
    with running(worker):
        assert table(worker.until_caught_up(), "customers")["rows"] == 2
        assert worker.stop() == 0
        broker.stop()
        shutil.copytree(broker.directory, backup := tmp_path / "backup")
        broker.start()
        beside.call(send(kafka, customers, [customer("c1", 2), customer("c3", 1)]))
        worker.start()
        assert table(worker.until_caught_up(), "customers")["rows"] == 3
        assert worker.stop() == 0
        broker.stop()
        shutil.rmtree(broker.directory)
        backup.rename(broker.directory)
        broker.start()
        worker.start()
        worker.until_logged(
            r"\.customers, partition 0: .* position 4, and a log from 0 to 2, which was restored or cut off"
        )
        assert table(worker.until_caught_up(), "customers")["rows"] == 2
        assert worker.row(customers, "c1")[1]["row"]["revision"] == 1
        assert worker.row(customers, "c3")[0] == 404
        assert worker.stop() == 0
        assert "Traceback" not in worker.text
