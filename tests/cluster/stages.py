"""Stages for tests of bad input: their own topics, records of any form, and the result of each record."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from aiokafka.admin import NewTopic
from aiokafka.structs import ConsumerRecord

from tests.support.beside import Beside
from tests.support.topics import COMPACTED, Sent, admin, configure, create, read, send, until
from tests.support.workers import Worker

ROWS = """
from larder import DeadLetter, Drop, EventTopic, OwnerTopic, PassOn, Row, Service, Wait


class Customer(Row):
    customer_id: str
    name: str = ""
    revision: int


class Order(Row):
    order_id: str
    customer_id: str | None
    quantity: int = 1


class Joined(Order):
    customer: Customer | None


customers = OwnerTopic("{prefix}.customers", Customer, key="customer_id", revision="revision", owner="crm")
orders = EventTopic("{prefix}.orders", Order, key="order_id", owner="checkout")
joined = EventTopic("{prefix}.joined", Joined, key="order_id")
service = Service("{prefix}")
"""

GLOBAL = """
held = service.global_table(customers)
service.join(orders, held.on("customer_id"), into=joined, missing={missing})
"""

COPARTITIONED = """
held = service.table(customers)
service.join(orders.by("customer_id"), held, into=joined, missing={missing})
"""

KINDS = {"global": GLOBAL, "copartitioned": COPARTITIONED}


class Letter(NamedTuple):
    """A dead letter: the place of its record, and the cause."""

    topic: str
    partition: int
    offset: int
    cause: str
    record: ConsumerRecord

    @property
    def step(self) -> bytes | None:
        """The step that dead-lettered it: each step that cannot handle a record writes its own letter."""
        return dict(self.record.headers).get("larder.step")


class Stage:
    """The topics `customers`, `orders` and `joined` of a prefix, and workers of the service with that name."""

    def __init__(self, kafka: str, prefix: str, beside: Beside, directory: Path, partitions: int = 1) -> None:
        self.kafka = kafka
        self.prefix = prefix
        self.beside = beside
        self.directory = directory
        self.partitions = partitions
        self.create("customers", COMPACTED)
        self.create("orders")

    def name(self, topic: str) -> str:
        return f"{self.prefix}.{topic}"

    def create(self, topic: str, config: Mapping[str, str] | None = None) -> None:
        self.beside.call(create(self.kafka, {self.name(topic): self.partitions}, config))

    def create_again(self, topic: str, config: Mapping[str, str] | None = None) -> None:
        """Delete a topic, and create it again."""
        self.beside.call(create_again(self.kafka, self.name(topic), self.partitions, config))

    def without_compaction(self, topic: str, records: Iterable[Sent | tuple[Any, Any]]) -> None:
        """Send records that a broker refuses for a compacted topic, as if they were older than its compaction."""
        self.configure(topic, {"cleanup.policy": "delete"})
        self.send(topic, records)
        self.configure(topic, COMPACTED)

    def configure(self, topic: str, config: Mapping[str, str]) -> None:
        self.beside.call(configure(self.kafka, self.name(topic), config))

    def send(self, topic: str, records: Iterable[Sent | tuple[Any, Any]]) -> list[int]:
        """Send records in their order, and return their offsets."""
        return self.beside.call(send(self.kafka, self.name(topic), records))

    def read(self, topic: str) -> list[ConsumerRecord]:
        return self.beside.call(read(self.kafka, self.name(topic)))

    def worker(
        self,
        *parts: str,
        missing: str = "DeadLetter",
        name: str = "one",
        arguments: tuple[str, ...] = (),
        **settings: str,
    ) -> Worker:
        """Return a worker of a module made of `ROWS` and these parts; settings as session_timeout_s="3"."""
        module = (ROWS + "".join(parts)).replace("{prefix}", self.prefix).replace("{missing}", missing)
        environment = {f"LARDER_{key.upper()}": value for key, value in settings.items()}
        return Worker(self.kafka, self.directory, module, self.prefix, name, environment, arguments)

    def letters(self) -> list[Letter]:
        return [_letter(record) for record in self.read("dead-letters")]

    def joined(self) -> dict[str, dict[str, Any]]:
        """Return the outputs of the join by order."""
        return _by_order(self.read("joined"))

    def until_letters(self, count: int) -> list[Letter]:
        """Wait for `count` different dead letters, and return all."""

        async def enough() -> list[Letter] | None:
            found = [_letter(record) for record in await read(self.kafka, self.name("dead-letters"))]
            return found if len({(each.record.key, each.step) for each in found}) >= count else None

        return self.beside.call(until(enough, 20, f"{count} dead letters"))

    def until_joined(self, ids: Collection[str]) -> dict[str, dict[str, Any]]:
        """Wait for the outputs of these orders, and return all outputs."""

        async def there() -> dict[str, dict[str, Any]] | None:
            found = _by_order(await read(self.kafka, self.name("joined")))
            return found if set(ids) <= found.keys() else None

        return self.beside.call(until(there, 20, f"orders {sorted(ids)}"))


def customer(key: str, revision: int = 1, **fields: Any) -> tuple[str, dict[str, Any]]:
    return key, {"customer_id": key, **fields, "revision": revision}


def order(key: str, customer_id: str | None = "c1", **fields: Any) -> tuple[str, dict[str, Any]]:
    return key, {"order_id": key, "customer_id": customer_id, **fields}


def table(status: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a table in the answer of GET /services."""
    return next(each for each in status["tables"] if each["table"].endswith(f".{name}"))


def _by_order(records: Iterable[ConsumerRecord]) -> dict[str, dict[str, Any]]:
    rows = [msgspec.json.decode(record.value) for record in records]
    return {row["order_id"]: row for row in rows}


async def create_again(kafka: str, topic: str, partitions: int, config: Mapping[str, str] | None = None) -> None:
    """Delete a topic, and create it again."""
    async with admin(kafka) as client:
        await client.delete_topics([topic])

        async def created() -> bool:
            """Return False while the broker is still deleting the old topic."""
            answer = await client.create_topics([NewTopic(topic, partitions, 1, topic_configs=dict(config or {}))])
            return all(code == 0 for _, code, *_ in answer.topic_errors)

        await until(created, 20, f"topic {topic} created again")


def _letter(record: ConsumerRecord) -> Letter:
    headers = dict(record.headers)
    return Letter(
        headers["larder.topic"].decode(),
        int(headers["larder.partition"]),
        int(headers["larder.offset"]),
        headers["larder.cause"].decode(),
        record,
    )
