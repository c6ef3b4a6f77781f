"""Outputs that the broker refuses: for a while, for good, and some among others."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from tests.cluster.shops import KINDS, Shop
from tests.cluster.stages import KINDS as STAGE_KINDS
from tests.cluster.stages import Stage, customer, order
from tests.support.beside import Beside
from tests.support.topics import Sent, admin, encoded
from tests.support.workers import running


@pytest.mark.parametrize("kind", KINDS)
def test_refused_outputs_are_made_again_from_the_committed_offset(shop: Shop, kind: str) -> None:
    worker = shop.worker(shop.module(KINDS[kind], missing="Wait(seconds=60).then(DeadLetter)"))
    with running(worker):
        worker.until_running()
        shop.order(5, ["late"])
        with shop.open():
            shop.joined.until(shop.order_everywhere())
            # Less than the limit at the worker's start: enough for an output, not for a batch.
            shop.beside.call(_limit(shop, 400))
            shop.joined.until(shop.order(400))
            worker.until_logged("outputs were not acknowledged .* reading again from the committed offsets")
            shop.publish(["late"])
            shop.joined.until(shop.order_everywhere())
        shop.judge()
        worker.until_caught_up()
        assert worker.stop() == 0
    assert shop.stored(worker) == shop.rows
    assert not shop.dead_letters()


DAY_MS = 86_400_000


@pytest.mark.parametrize("kind", STAGE_KINDS)
def test_records_that_a_topic_keeps_refusing_become_dead_letters_and_all_others_come_out(
    kafka: str, prefix: str, beside: Beside, tmp_path: Path, kind: str
) -> None:
    """Records of 1970 or of tomorrow for a topic that only takes today's: with one, the broker refuses the batch."""
    stage = Stage(kafka, prefix, beside, tmp_path, partitions=2)
    stage.create("joined", {"message.timestamp.before.max.ms": str(DAY_MS)})
    stage.configure("orders", {"message.timestamp.after.max.ms": str(10 * DAY_MS)})
    stage.send("customers", [customer("c1")])
    worker = stage.worker(STAGE_KINDS[kind], missing="Wait(60).then(DeadLetter)")
    with running(worker):
        worker.until_running()
        orders = [order(f"o{number}") for number in range(300)]
        orders.insert(50, Sent("new", order("new")[1], timestamp_ms=int(time.time() * 1000) + DAY_MS))
        orders.insert(100, Sent("old", order("old")[1], timestamp_ms=1))
        orders.insert(200, Sent("late", order("late", "c2")[1], timestamp_ms=2))
        stage.send("orders", orders)
        joined = {f"o{number}" for number in range(300)}
        assert stage.until_joined(joined).keys() == joined
        letters = {each.record.value: each for each in stage.until_letters(2)}
        assert letters.keys() == {encoded(order("new")[1]), encoded(order("old")[1])}
        assert all("refuses a record with this key and the timestamp" in each.cause for each in letters.values())
        # Refused later, when the customer that it waits for arrives.
        stage.send("customers", [customer("c2")])
        assert {each.record.value for each in stage.until_letters(3)} >= {encoded(order("late", "c2")[1])}
        stage.send("orders", [order("last")])
        assert stage.until_joined(["last"]).keys() == joined | {"last"}
        assert worker.stop() == 0
    assert len({each.record.value for each in stage.letters()}) == 3, (
        "rekeyed orders may come again, but no other letters"
    )


def test_a_lowered_limit_is_noticed_and_kept(kafka: str, prefix: str, beside: Beside, tmp_path: Path) -> None:
    stage = Stage(kafka, prefix, beside, tmp_path)
    stage.create("joined")
    stage.send("customers", [customer("c1")])
    worker = stage.worker(STAGE_KINDS["global"])
    with running(worker):
        worker.until_running()
        stage.send("orders", [order("first")])
        stage.until_joined(["first"])
        stage.configure("joined", {"max.message.bytes": "2000"})
        stage.send("orders", [order("large", note="x" * 3_000), *(order(f"o{number}") for number in range(300))])
        stage.until_joined([f"o{number}" for number in range(300)])
        (letter,) = stage.until_letters(1)
        assert "requires at most 2000 bytes; found 3" in letter.cause
        assert worker.stop() == 0
    assert worker.text.count("outputs were not acknowledged") == 1, (
        "the worker must read the limit after the first refusal"
    )


async def _limit(shop: Shop, largest: int) -> None:
    """Set the largest batch, in bytes, that the topic of the outputs takes."""
    topic = ConfigResource(ConfigResourceType.TOPIC, f"{shop.prefix}.joined", {"max.message.bytes": str(largest)})
    async with admin(shop.kafka) as client:
        await client.alter_configs([topic])
