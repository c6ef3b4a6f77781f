"""Another Kafka client in the group of the service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aiokafka import AIOKafkaConsumer

from tests.cluster.stages import GLOBAL, Stage
from tests.support.beside import Beside
from tests.support.newer_member import newer_member
from tests.support.topics import until
from tests.support.workers import Worker, larder, running


async def _joined(kafka: str, group: str, topic: str) -> AIOKafkaConsumer:
    """Return a member of a group that is not a worker, once it has partitions."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=kafka, group_id=group, client_id="curious")
    await consumer.start()
    await until(consumer.assignment, 30, "the partitions of another client")
    return consumer


@contextmanager
def newer(beside: Beside, stage: Stage) -> Iterator[None]:
    """Keep a client of the newer protocol in the group of the stage's service during the block."""
    member = newer_member(stage.kafka, stage.prefix, stage.name("orders"), "modern")
    beside.call(member.__aenter__())
    try:
        yield
    finally:
        beside.call(member.__aexit__(None, None, None))


def examined(stage: Stage, worker: Worker) -> str:
    """Return what doctor reports about the members of the group."""
    ended = larder("doctor", "--json", kafka=stage.kafka, directory=stage.directory, module=worker.module)
    (found,) = (each for each in json.loads(ended.stdout)["findings"] if each["about"] == f"group {stage.prefix}")
    return str(found["seen"])


def test_a_worker_ends_and_names_a_foreign_client_in_its_group(
    kafka: str, prefix: str, beside: Beside, tmp_path: Path
) -> None:
    stage = Stage(kafka, prefix, beside, tmp_path)
    foreign = beside.call(_joined(kafka, prefix, stage.name("orders")))
    worker = stage.worker(GLOBAL)
    try:
        with running(worker):
            assert worker.exit_code(60) == 3
        assert "curious at /127.0.0.1" in examined(stage, worker)
        said = worker.text.splitlines()[-1]
        assert f"group {prefix}: requires workers of the service of that name, and no other Kafka client" in said
        assert "found other members: curious at /127.0.0.1;" in said
        assert "Traceback" not in worker.text
    finally:
        beside.call(foreign.stop())
    with running(worker):
        worker.until_caught_up()
        assert worker.stop() == 0


def test_a_worker_ends_and_names_a_client_of_the_newer_protocol_in_its_group(
    kafka: str, prefix: str, beside: Beside, tmp_path: Path
) -> None:
    stage = Stage(kafka, prefix, beside, tmp_path)
    worker = stage.worker(GLOBAL)
    with newer(beside, stage), running(worker):
        assert worker.exit_code(60) == 3, worker.text
        assert "modern at /127.0.0.1" in examined(stage, worker)
    assert "found other members: modern at /127.0.0.1;" in worker.text.splitlines()[-1]
    assert "Traceback" not in worker.text
    with running(worker):
        worker.until_caught_up()
        assert worker.stop() == 0
