"""The inputs of audits, made by hand: records, topics as a broker describes them, and healthy systems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from larder import DeadLetter, EventTopic, OwnerTopic, Row, Service, Wait
from larder.config.settings import Settings
from larder.declaring.topology import topics_of
from larder.doctor.facts import Brokers, System, TopicState
from larder.doctor.records import Audit, ValueReader

if TYPE_CHECKING:
    from larder.doctor.findings import Finding

BOOTSTRAP = "kafka:9092"

STOCK = Brokers(
    3,
    {
        "group.min.session.timeout.ms": "6000",
        "group.max.session.timeout.ms": "1800000",
        "offsets.retention.minutes": "10080",
        "transaction.max.timeout.ms": "900000",
        "transaction.state.log.replication.factor": "3",
        "transaction.state.log.min.isr": "2",
        "log.cleaner.enable": "true",
        "unclean.leader.election.enable": "false",
    },
    3,
)
"""Three brokers with Kafka's defaults."""


class Customer(Row):
    customer_id: str
    name: str
    revision: int
    nickname: str | None = None


class Order(Row):
    order_id: str
    customer_id: str
    amount: float


class Joined(Order):
    customer: Customer | None


class Given(NamedTuple):
    """A record."""

    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int = 0
    headers: Sequence[tuple[str, bytes | None]] = ()


def given(offset: int, key: str | bytes | None, value: Any, **more: Any) -> Given:
    """Return a record. `value` is a plain value to encode, or bytes."""
    raw = value if value is None or isinstance(value, bytes) else msgspec.json.encode(value)
    return Given(offset, key.encode() if isinstance(key, str) else key, raw, **more)


def found(audit: Audit, reader: ValueReader, records: Mapping[int, Sequence[Given]]) -> list[Finding]:
    """Return the findings of an audit in records, given by partition."""
    for partition, some in records.items():
        audit.take(reader.read(partition, some))
    return list(audit.findings())


def state(topic: str, partitions: int = 4, config: Mapping[str, str] | None = None, **more: Any) -> TopicState:
    """Return a topic as a broker describes it."""
    ends = dict.fromkeys(range(partitions), 0)
    return TopicState(topic, "id", dict(config or {}), 3, dict(ends), ends)._replace(**more)


def sound(*services: Service, **more: Any) -> System:
    """Return a system in which everything is as declared, on three stock brokers."""
    topics: dict[str, TopicState] = {}
    for service in services:
        for use in topics_of(service):
            topics.setdefault(use.name, state(use.name, use.partitions, {"min.insync.replicas": "1", **use.config}))
    return System(BOOTSTRAP, services, Settings(), topics, STOCK)._replace(**more)


def changed(system: System, topic: str, config: Mapping[str, str] | None = None, **more: Any) -> System:
    """Return the system with a changed topic."""
    before = system.topics[topic]
    after = before._replace(config={**before.config, **(config or {})}, **more)
    return system._replace(topics={**system.topics, topic: after})


def shop() -> tuple[Service, dict[str, EventTopic | OwnerTopic]]:
    """Return a service that joins orders with customers by partition and waits for them, and its topics by name."""
    customers = OwnerTopic("shop.customers", Customer, key="customer_id", revision="revision", owner="crm")
    orders = EventTopic("shop.orders", Order, key="customer_id", owner="checkout")
    joined = EventTopic("shop.joined", Joined, key="customer_id")
    shipping = Service("shipping")
    shipping.join(orders, shipping.table(customers), into=joined, missing=Wait(5).then(DeadLetter))
    return shipping, {"customers": customers, "orders": orders, "joined": joined}
