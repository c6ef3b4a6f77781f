"""Events that are older than any retention, and a broker that constantly deletes old records."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.stages import COPARTITIONED, Stage, customer, order
from tests.support.beside import Beside
from tests.support.brokers import local_broker
from tests.support.topics import Sent, admin, begins, create, ends, hanging, read, send, until
from tests.support.workers import running

DELETING = {"log.retention.check.interval.ms": "200", "log.initial.task.delay.ms": "200"}
DAYS_30_MS = 30 * 86_400_000
KEPT_FOREVER = {"retention.ms": "-1"}


@pytest.fixture(scope="module")
def deleting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the address of a broker that looks for records to delete five times a second."""
    with local_broker(tmp_path_factory.mktemp("deleting"), DELETING) as address:
        yield address


def until_deleted(kafka: str, topic: str, beside: Beside, old_ms: int) -> None:
    """Wait for two deletions of old records: in between, the broker has checked all topics at least once."""

    async def gone() -> bool:
        return await begins(kafka, topic) == await ends(kafka, topic)

    for _ in range(2):
        beside.call(send(kafka, topic, [Sent("k", {}, timestamp_ms=old_ms)]))
        beside.call(until(gone, 20, f"the broker to delete old records of {topic}"))


def test_a_backfill_survives_a_stopped_worker_while_the_broker_deletes_old_records(
    deleting: str, prefix: str, beside: Beside, tmp_path: Path
) -> None:
    stage = Stage(deleting, prefix, beside, tmp_path, partitions=2)
    stage.configure("orders", KEPT_FOREVER)
    stage.create("joined", KEPT_FOREVER)
    canary = f"{prefix}.canary"
    beside.call(create(deleting, {canary: 1}))
    old_ms = int(time.time() * 1000) - DAYS_30_MS
    ids = [f"o{number}" for number in range(500)]
    stage.send("customers", [customer(f"c{number}", name="Ann") for number in range(10)])
    worker = stage.worker(COPARTITIONED)
    rekeyed = f"{prefix}.{prefix}.orders.by.customer_id"
    with running(worker):
        worker.until_running()
        # Records behind an open transaction are not read yet, so half of the orders do not reach the join. Its own
        # records are old too, since the broker would keep a segment with a new record.
        with beside.within(hanging(deleting, rekeyed, f"{prefix}-open", timestamp_ms=old_ms)):
            orders = [Sent(*order(each, f"c{at % 10}"), timestamp_ms=old_ms) for at, each in enumerate(ids)]
            stage.send("orders", orders)
            beside.call(until(lambda: _rekeyed(deleting, prefix, len(ids)), 30, "all orders on their way"))
            beside.call(until(lambda: read(deleting, stage.name("joined")), 30, "some orders joined"))
            assert worker.stop() == 0
    assert 0 < len(stage.read("joined")) < len(ids)
    until_deleted(deleting, canary, beside, old_ms)
    with running(worker):
        joined = stage.until_joined(ids)
        assert worker.stop() == 0
    assert len(joined) == len(stage.read("joined")) == len(ids)
    assert all(each["customer"]["name"] == "Ann" for each in joined.values())
    assert not stage.letters()


async def _rekeyed(kafka: str, group: str, count: int) -> bool:
    """Return whether a service has committed `count` orders, and so rekeyed them."""
    async with admin(kafka) as client:
        committed = await client.list_consumer_group_offsets(group)
    return sum(at.offset for tp, at in committed.items() if tp.topic == f"{group}.orders") >= count
