"""Another Kafka client in the group that has the name of the service."""

from __future__ import annotations

from pathlib import Path

from aiokafka import AIOKafkaConsumer

from tests.cluster.stages import GLOBAL, Stage
from tests.support.beside import Beside
from tests.support.topics import until
from tests.support.workers import running


async def _joined(kafka: str, group: str, topic: str) -> AIOKafkaConsumer:
    """A member of a group that is no worker, with its partitions."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=kafka, group_id=group, client_id="curious")
    await consumer.start()
    await until(consumer.assignment, 30, "the partitions of another client")
    return consumer


def test_a_worker_whose_group_another_client_is_in_ends_and_names_the_client(
    kafka: str, prefix: str, beside: Beside, tmp_path: Path
) -> None:
    stage = Stage(kafka, prefix, beside, tmp_path)
    stranger = beside.call(_joined(kafka, prefix, stage.name("orders")))
    worker = stage.worker(GLOBAL)
    try:
        with running(worker):
            assert worker.exit_code(60) == 3
        said = worker.text.splitlines()[-1]
        assert f"group {prefix}: requires workers of the service of that name, and no other Kafka client" in said
        assert "found other members: curious at /127.0.0.1;" in said
        assert "Traceback" not in worker.text
    finally:
        beside.call(stranger.stop())
    with running(worker):
        worker.until_caught_up()
        assert worker.stop() == 0
