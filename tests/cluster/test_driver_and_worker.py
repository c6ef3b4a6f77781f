"""The driver of tests behaves like a worker: the same records in the same order have the same effects in both.

Examples are random and have their own keys, so that one worker can take a step of each at the same time.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition

from larder.testing import Driver
from tests.cluster.driven_examples import SERVICE, Asked, Input, example
from tests.conftest import unique
from tests.support.beside import Beside
from tests.support.modules import imported
from tests.support.topics import COMPACTED, consumer, create, encoded, ends
from tests.support.workers import Worker, running, until_read

EXAMPLES, STEPS = 60, 12

OUTPUTS = (
    "passed", "patient", "hasty", "priced", "labels", "spent", "mails", "thanks", "renamed", "refusals", "dead-letters",
)  # fmt: skip
TABLES = ("customers", "products", "labels", "spent", "mails")
WORKERS_HEADERS = ("larder.generation", "larder.based-on", "larder.made")
OWN_REVISIONS = ("spent", "mails")

ANSWERS = {(200, False), (201, False), (201, True), (400, False), (409, False), (409, True), (422, False), (500, False)}
"""The statuses of answers to requests, and whether they are first answers that come again."""

PATIENCE = 30
"""Seconds that a worker has for a step, which takes a fraction of a second."""


@pytest.mark.timeout(400)
def test_the_driver_has_the_results_tables_and_dead_letters_of_a_worker(
    kafka: str, beside: Beside, tmp_path: Path, chance: random.Random, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, "larder")
    both = Both(kafka, unique("both"), beside, tmp_path)
    examples = [list(example(chance, f"e{number}", STEPS)) for number in range(EXAMPLES)]
    with both.running():
        # If the worker publishes less, the steps end here, and the comparison below shows what is missing.
        all(both.take([example[number] for example in examples]) for number in range(STEPS))
        for topic, key in sorted({*both.driven, *both.worked}):
            found, expected = both.worked[topic, key], both.driven[topic, key]
            assert found == expected, _shown(topic, key, found, expected, examples)
        assert {topic for topic, _ in both.driven} == set(OUTPUTS), "the examples do not reach every output"
        assert both.answers.keys() >= ANSWERS, "the examples do not reach every answer"
        for table in TABLES:
            assert both.rows_of_worker(table) == both.rows_of_driver(table), table


class Effect(NamedTuple):
    """The part of an output that a driver and a worker have in common."""

    value: Any
    headers: Any
    timestamp: Any


class Effects(dict[tuple[str, str], list[Effect]]):
    """The outputs by topic and key; deletions of absent rows do not count."""

    def __init__(self) -> None:
        super().__init__()
        self.counts = Counter[str]()
        self._rows: dict[tuple[str, bytes], Any] = {}

    def __missing__(self, key: tuple[str, str]) -> list[Effect]:
        return self.setdefault(key, [])

    def add(self, topic: str, record: Any) -> None:
        """Add a record of a topic; its name has no prefix."""
        if topic == "dead-letters":
            self._add(topic, *_letter(record))
            return
        value = None if record.value is None else json.loads(record.value)
        before = self._rows.get((topic, record.key))
        self._rows[topic, record.key] = value
        if value is not None or before is not None:
            self._add(topic, record.key.decode(), _effect(topic, record, value))

    def _add(self, topic: str, key: str, effect: Effect) -> None:
        self[topic, key].append(effect)
        self.counts[topic] += 1


class Both:
    """A driver and a worker of one service, which get the same records."""

    def __init__(self, kafka: str, prefix: str, beside: Beside, directory: Path) -> None:
        text = SERVICE.replace("{prefix}", prefix)
        self.driven, self.worked = Effects(), Effects()
        self._driver = Driver(imported(text, directory).service, now=datetime.now(UTC))
        self._worker = Worker(kafka, directory, text, prefix)
        self._kafka, self._prefix, self._beside = kafka, prefix, beside
        self._ends: dict[str, dict[int, int]] = defaultdict(dict)
        self.answers = Counter[tuple[int, bool]]()
        beside.call(
            create(kafka, {self._name(topic): 4 for topic in ("customers", "products", "addresses")}, COMPACTED)
        )
        beside.call(create(kafka, {self._name("orders"): 4}))
        self._producer = beside.call(_producer(kafka))

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run the worker, and read its outputs."""
        try:
            with running(self._worker):
                self._worker.until_running(90)  # it creates forty topics
                reading = self._beside.spawn(self._read())
                yield
                assert self._worker.stop() == 0
                reading.cancel()
        finally:
            self._beside.call(self._producer.stop())

    def take(self, steps: Sequence[Input | Asked]) -> bool:
        """Send records and requests to both; return whether the worker publishes as much as the driver in time."""
        at = self._driver.now
        inputs = [each for each in steps if isinstance(each, Input)]
        for request in (each for each in steps if isinstance(each, Asked)):
            self._ask(request)
        for each in inputs:
            value, key = encoded(each.value), each.key.encode()
            self._driver.send(self._name(each.topic), value, key=key, headers=each.headers, at=at)
        self._driver.advance(seconds=1)
        for topic in OUTPUTS:
            for record in self._driver.read(self._name(topic)):
                self.driven.add(topic, record)
        self._beside.call(self._send(inputs, round(at.timestamp() * 1000)))
        for topic, positions in self._ends.items():
            until_read([self._worker], topic, positions)
        deadline = time.monotonic() + PATIENCE
        while not self.worked.counts >= self.driven.counts:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        self._worker.until_caught_up()
        return True

    def _ask(self, asked: Asked) -> None:
        """Send a request to both, which have to give the same answer."""
        body = encoded(asked.body) or b""
        headers = {name: value.decode() for name, value in asked.headers if value is not None}
        expected = self._driver.request(asked.address, body, once=asked.once, headers=headers)
        headers |= {} if asked.once is None else {"Idempotency-Key": asked.once}
        status, found, answered = self._worker.posted(asked.address.removeprefix("POST "), body, headers)
        row = None if expected.row is None else _unrevised("spent", json.loads(encoded(expected.row) or b""))
        assert status == expected.status, (asked, found, expected)
        assert _unrevised("spent", found.get("row")) == row, asked
        assert found.get("reason", found.get("found")) == expected.reason, asked
        assert ("Idempotent-Replayed" in answered) == expected.repeated, asked
        self.answers[status, expected.repeated] += 1

    def rows_of_driver(self, table: str) -> list[Any]:
        """Return the rows of a table in the driver, as JSON."""
        rows = self._driver.table(self._name(table)).rows()
        return [_unrevised(table, json.loads(encoded(row) or b"")) for row in rows]

    def rows_of_worker(self, table: str) -> list[Any]:
        """Return the rows of a table in the worker, as JSON."""
        _, answer = self._worker.get(f"/tables/{self._name(table)}/rows?limit=1000") or (0, {})
        return [_unrevised(table, found["row"]) for found in answer["rows"]]

    def _name(self, topic: str) -> str:
        return f"{self._prefix}.{topic}"

    async def _send(self, inputs: Iterable[Input], timestamp: int) -> None:
        sent = [
            await self._producer.send(
                self._name(each.topic),
                key=each.key.encode(),
                value=encoded(each.value),
                headers=list(each.headers),
                timestamp_ms=timestamp,
            )
            for each in inputs
        ]
        for at in await asyncio.gather(*sent):
            self._ends[at.topic][at.partition] = max(at.offset + 1, self._ends[at.topic].get(at.partition, 0))

    async def _read(self) -> None:
        async with consumer(self._kafka) as reader:
            names = {self._name(topic): topic for topic in OUTPUTS}
            tps = [TopicPartition(name, each) for name in names for each in await ends(self._kafka, name)]
            reader.assign(tps)
            await reader.seek_to_beginning()
            async for record in reader:
                self.worked.add(names[record.topic], record)


def _effect(topic: str, record: Any, value: Any) -> Effect:
    if topic == "refusals":
        # The coordinates of the event differ, and the broker sets the timestamp of a refusal.
        return Effect({**value, "id": _common_id(value["id"])}, _headers(record), None)
    headers = _headers(record)
    if topic in OWN_REVISIONS:
        # A worker's revisions begin above all earlier ones of the partition; a wake-up has the time of its arrival.
        return Effect(_unrevised(topic, value), [name for name, _ in headers], None)
    return Effect(value, headers, None if topic == "thanks" else record.timestamp)


def _headers(record: Any) -> list[tuple[str, Any]]:
    """Return the headers that both have, with the topic of the cause: its coordinates differ."""
    found = [header for header in record.headers if header[0] not in WORKERS_HEADERS]
    return [(name, value.partition(b"/")[0] if name == "larder.cause" else value) for name, value in found]


def _common_id(refused: str) -> str:
    """Return the topic of an event, the address of a request, or its address and its hash if it counts once."""
    if not refused.startswith("POST "):
        return refused.partition("/")[0]
    address, _, hashed = refused.rpartition(" ")
    return refused if len(hashed) == 64 else address


def _letter(record: Any) -> tuple[str, Effect]:
    """Return the key of the record of a letter, and the letter without the coordinates, which differ."""
    headers = dict(record.headers)
    topic, cause, timestamp = (headers[f"larder.{name}"] for name in ("topic", "cause", "timestamp"))
    woken = topic.endswith(b".wake-ups")
    return headers["larder.key"].decode(), Effect(record.value, (topic, cause), None if woken else timestamp)


def _unrevised(table: str, row: Any) -> Any:
    return {**row, "revision": None} if row is not None and table in OWN_REVISIONS else row


def _shown(
    topic: str,
    key: str,
    found: Sequence[Effect],
    expected: Sequence[Effect],
    examples: Sequence[Sequence[Input | Asked]],
) -> str:
    """Return the differences, with the steps of the example to which the key belongs."""
    (steps,) = (example for number, example in enumerate(examples) if key.startswith(f"e{number}-"))
    parts = {"a worker": found, "the driver": expected, "steps": steps}
    lines = [f"{name}:\n  " + "\n  ".join(map(str, each)) for name, each in parts.items()]
    return "\n".join([f"{topic}, {key}", *lines])


async def _producer(kafka: str) -> AIOKafkaProducer:
    producer = AIOKafkaProducer(bootstrap_servers=kafka, acks="all", linger_ms=2)
    await producer.start()
    return producer
