"""Outputs that the broker refuses for a while."""

from __future__ import annotations

import pytest
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from tests.cluster.shops import KINDS, Shop
from tests.support.topics import admin
from tests.support.workers import running


@pytest.mark.parametrize("kind", KINDS)
def test_outputs_that_were_refused_are_made_again_from_what_was_committed(shop: Shop, kind: str) -> None:
    worker = shop.worker(shop.module(KINDS[kind], missing="Wait(seconds=60).then(DeadLetter)"))
    with running(worker):
        worker.until_running()
        shop.order(5, ["late"])
        with shop.open():
            shop.joined.until(shop.order_everywhere())
            # Less than the worker was told when it started, and than any output takes.
            shop.beside.call(_limit(shop, 80))
            worker.until_said("outputs were not acknowledged .* reading again from the committed offsets")
            shop.publish(["late"])
            shop.beside.call(_limit(shop, 1_000_000))
            shop.joined.until(shop.order_everywhere())
        shop.judge()
        worker.until_caught_up()
        assert worker.stop() == 0
    assert shop.stored(worker) == shop.rows
    assert not shop.parked()


async def _limit(shop: Shop, largest: int) -> None:
    """The largest batch, in bytes, that the topic of the outputs takes."""
    topic = ConfigResource(ConfigResourceType.TOPIC, f"{shop.prefix}.joined", {"max.message.bytes": str(largest)})
    async with admin(shop.kafka) as client:
        await client.alter_configs([topic])
