"""Deletions that a worker missed, and falling revisions, with the compaction of a real broker."""

from __future__ import annotations

from pathlib import Path

import pytest

from larder.store.layout import (
    full_read_key,
    pack_full_read,
    pack_mark,
    position_key,
    unpack_full_read,
    unpack_mark,
)
from larder.store.storage.store import StoreBatch
from tests.cluster.stages import KINDS, Stage, customer, order, table
from tests.support.beside import Beside
from tests.support.stores import opened_store
from tests.support.topics import COMPACTED, read, send, until
from tests.support.workers import Worker, larder, running

AT_ONCE = {
    **COMPACTED,
    "segment.ms": "100",
    "min.cleanable.dirty.ratio": "0.01",
    "delete.retention.ms": "100",
}
"""A topic that keeps deletions only for seconds."""

AWAY_SECONDS = 3_600.0


@pytest.fixture
def stage(kafka: str, prefix: str, beside: Beside, tmp_path: Path) -> Stage:
    return Stage(kafka, prefix, beside, tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_deletions_that_compaction_removed_during_an_absence_are_found_before_joining(stage: Stage, kind: str) -> None:
    stage.configure("customers", AT_ONCE)
    stage.send("customers", [customer(f"c{number}") for number in range(50)])
    worker = stage.worker(KINDS[kind], missing="PassOn")
    with running(worker):
        assert table(worker.until_caught_up(), "customers")["rows"] == 50
        assert worker.stop() == 0
        stage.send("customers", [("c3", None), ("c7", None)])
        until_gone(stage, "c3", "c7")
        stage.send("orders", [order("o3", "c3"), order("o4", "c4"), order("o7", "c7")])
        away(stage, worker, AWAY_SECONDS)
        worker.start()
        joined = stage.until_joined(["o3", "o4", "o7"])
        assert [joined[each]["customer"] is None for each in ("o3", "o4", "o7")] == [True, False, True]
        worker.until_logged(r"\.customers, partition 0: must reach the topic's end .*; found a longer absence")
        held = table(worker.until_caught_up(), "customers")
        assert (held["counts"]["swept"], worker.row(stage.name("customers"), "c3")[0]) == (2, 404)
        # From here on, it only reads new records.
        assert worker.stop() == 0
        worker.start()
        again = table(worker.until_caught_up(), "customers")
        assert again["counts"]["stale"] == again["counts"]["swept"] == 0
        assert (again["rows"], worker.stop()) == (held["rows"], 0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_falling_revision_is_logged_once_and_shown_until_the_store_is_rebuilt(stage: Stage, kind: str) -> None:
    stage.send("customers", [customer("c1", 5), customer("c2", 5)])
    worker = stage.worker(KINDS[kind])
    with running(worker):
        assert table(worker.until_caught_up(), "customers")["diverging"] is None
        stage.send("customers", [customer("c1", 4), customer("c2", 4)])
        status = worker.until(lambda status: table(status, "customers")["diverging"], what="a table that is diverging")
        shown = {"partition": 0, "key": "c1", "offset": 2, "revision": 4, "earlier_offset": 0, "earlier_revision": 5}
        assert table(status, "customers")["diverging"] == shown
        listed = larder("tables", kafka=stage.kafka, directory=stage.directory)
        assert "diverging" in next(line for line in listed.stdout.splitlines() if ".customers" in line)
        assert worker.stop() == 0
        assert worker.text.count("the table is diverging") == 1
        worker.start()
        assert table(worker.until_caught_up(), "customers")["diverging"] == shown
        assert worker.stop() == 0
        stage.create_again("customers", COMPACTED)
        stage.send("customers", [customer("c1", 5)])
        worker.start()
        worker.until(lambda status: table(status, "customers")["rows"] == 1, what="the new topic")
        assert table(worker.until_caught_up(), "customers")["diverging"] is None
        assert worker.stop() == 0


def away(stage: Stage, worker: Worker, seconds: float) -> None:
    """Backdate when the store was last read from the start, and at the end: as if the worker had been away since."""
    (path,) = worker.tables.joinpath(stage.name("customers")).iterdir()
    with opened_store(path) as store:
        mark, stored = unpack_mark(store.get(position_key(0))), store.get(full_read_key(0))
        assert mark.at_end > seconds
        assert stored is not None
        read = unpack_full_read(stored)
        batch = StoreBatch()
        batch.put(full_read_key(0), pack_full_read(read._replace(begun=read.begun - seconds)))
        batch.put(position_key(0), pack_mark(mark._replace(at_end=mark.at_end - seconds)))
        store.write(batch)


def until_gone(stage: Stage, *keys: str) -> None:
    """Wait until the topic has no records of these keys, not even deletions."""
    name = stage.name("customers")

    async def gone() -> bool:
        # The next record closes a segment.
        await send(stage.kafka, name, [customer("c0")])
        return not {key.encode() for key in keys} & {each.key for each in await read(stage.kafka, name)}

    stage.beside.call(until(gone, 60, f"{keys} gone from {name}"))
