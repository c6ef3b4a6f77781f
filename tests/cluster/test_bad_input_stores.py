"""Unusable stores: workers log and rebuild or refuse them, and nothing is lost."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import msgspec
import pytest

from larder.store.layout import IDENTITY_KEY
from larder.store.storage.store import StoreBatch
from tests.cluster.stages import COPARTITIONED, GLOBAL, Stage, customer, order, table
from tests.support.beside import Beside
from tests.support.stores import opened_store
from tests.support.workers import Worker, running

CUSTOMERS = 50


@pytest.fixture
def stage(kafka: str, prefix: str, beside: Beside, tmp_path: Path) -> Stage:
    stage = Stage(kafka, prefix, beside, tmp_path, partitions=2)
    stage.send("customers", [customer(f"c{number}") for number in range(CUSTOMERS)])
    return stage


def store_of(stage: Stage, worker: Worker, part: str) -> Path:
    return worker.tables / stage.name("customers") / part


def until_whole(stage: Stage, worker: Worker) -> None:
    """Check that the table has all rows, and that joins continue."""
    assert table(worker.until_caught_up(), "customers")["rows"] == CUSTOMERS
    ids = [f"{len(stage.read('orders'))}-{number}" for number in range(4)]
    stage.send("orders", [order(each, f"c{number}") for number, each in enumerate(ids)])
    assert all(stage.until_joined(ids)[each]["customer"] for each in ids)


def test_a_store_of_another_format_and_a_damaged_one_are_rebuilt_with_a_log_line(stage: Stage) -> None:
    worker = stage.worker(GLOBAL)
    with running(worker):
        until_whole(stage, worker)
        assert worker.stop() == 0
        path = store_of(stage, worker, "global")
        with opened_store(path) as store:
            identity = msgspec.json.decode(store.get(IDENTITY_KEY) or b"")
            batch = StoreBatch()
            batch.put(IDENTITY_KEY, msgspec.json.encode({**identity, "format": 99}))
            store.write(batch)
        worker.start()
        worker.until_logged(r"\.customers: rebuilt from the topic: its format was 99 and is \d+")
        until_whole(stage, worker)
        assert worker.stop() == 0

        for manifest in path.glob("MANIFEST-*"):
            manifest.write_bytes(b"\x00" * 500)
        worker.start()
        worker.until_logged(r"\.customers: rebuilt from the topic: its files were damaged")
        until_whole(stage, worker)
        assert worker.stop() == 0
        assert "Traceback" not in worker.text


def test_stores_that_were_swapped_are_refused_until_they_are_put_back(stage: Stage) -> None:
    worker = stage.worker(COPARTITIONED)
    one, other = store_of(stage, worker, "0"), store_of(stage, worker, "1")
    with running(worker):
        until_whole(stage, worker)
        assert worker.stop() == 0
        swap(one, other)
        worker.start()
        assert worker.exit_code() == 3
        line = worker.text.splitlines()[-1]
        assert "this directory must hold partition" in line
        assert "put the directories back in their places, or remove this one" in line
        assert "Traceback" not in worker.text
        swap(one, other)
        worker.start()
        until_whole(stage, worker)
        assert worker.stop() == 0


def swap(one: Path, other: Path) -> None:
    one.rename(aside := one.with_name("aside"))
    other.rename(one)
    aside.rename(other)


@pytest.mark.skipif(sys.platform != "linux", reason="the limit of another process can be set on Linux only")
def test_a_join_whose_disk_is_full_loses_no_order(stage: Stage) -> None:
    """Rows fill the disk and stop the worker while orders wait; after a restart, every order comes out."""
    worker = stage.worker(COPARTITIONED, missing="Wait(120).then(DeadLetter)")
    with running(worker):
        until_whole(stage, worker)
        # A limit on the size of files simulates a full disk.
        resource.prlimit(worker.process.pid, resource.RLIMIT_FSIZE, (1 << 17, resource.RLIM_INFINITY))
        early = [order(f"early{number}", f"new{number}") for number in range(200)]
        late = [order(f"late{number}", f"c{number % CUSTOMERS}") for number in range(200)]
        stage.send("orders", [*early, *late])
        large = [customer(f"new{number}", name="n" * 2_000) for number in range(200)]
        stage.send("customers", large)
        assert worker.exit_code() == 3
        assert "a write requires room on disk" in worker.text.splitlines()[-1]
        assert "Traceback" not in worker.text
        worker.start()
        joined = stage.until_joined([key for key, _ in (*early, *late)])
        assert all(row["customer"]["customer_id"] == row["customer_id"] for row in joined.values())
        assert worker.stop() == 0
        assert stage.letters() == []
