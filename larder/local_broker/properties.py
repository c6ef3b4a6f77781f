"""The settings of the local broker, by Kafka's names, and the text of server.properties. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LOOPBACK = "127.0.0.1"

# Each value differs from Kafka's default, for the reason in the comment above it.
FIXED = {
    # Failover within a second: sessions from 0.5 s, no pause before the first rebalance.
    "group.min.session.timeout.ms": "500",
    "group.initial.rebalance.delay.ms": "0",
    # A killed worker's open transaction holds up readers until this clean-up finds its timeout passed.
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "500",
    # One broker cannot replicate, and fifty partitions of each internal topic would only slow its start.
    "offsets.topic.num.partitions": "4",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "default.replication.factor": "1",
    # A topic is created as declared, or not at all.
    "auto.create.topics.enable": "false",
    "num.partitions": "4",
    # Compaction within a second of a segment's end, so that tests and demos show it; 16 MB index 600,000 keys a pass.
    "log.cleaner.enable": "true",
    "log.cleaner.backoff.ms": "200",
    "log.cleaner.dedupe.buffer.size": "16777216",
    "log.initial.task.delay.ms": "1000",
    "log.retention.check.interval.ms": "5000",
    # Two cores, shared with the workers.
    "num.network.threads": "2",
    "num.io.threads": "4",
    "background.threads": "2",
    # The broker waits for its own heartbeat before it serves.
    "broker.heartbeat.interval.ms": "500",
    # A killed broker's successor is refused until this has passed (Kafka's default: 9 s).
    "broker.session.timeout.ms": "3000",
}


@dataclass(frozen=True)
class Listener:
    """Another listener, bound to loopback `port` and advertised to clients as loopback `advertised_port`.

    A proxy at `advertised_port` can then cut off the clients that use it, and no others.
    """

    name: str
    port: int
    advertised_port: int


@dataclass(frozen=True)
class Node:
    """The settings in which brokers differ."""

    directory: Path
    port: int
    controller_port: int
    node_id: int = 1
    controller: str = ""  # "id@host:port" of another broker's controller; empty if this one is the controller
    listeners: tuple[Listener, ...] = ()
    properties: Mapping[str, str] = field(default_factory=dict)  # override all others

    @property
    def data(self) -> Path:
        """The directory of the topics' logs."""
        return self.directory / "data"


def server_properties(node: Node) -> dict[str, str]:
    """Return all settings of a broker that listens on loopback only."""
    clients = (Listener("CLIENTS", node.port, node.port), *node.listeners)
    bound = [f"{each.name}://{LOOPBACK}:{each.port}" for each in clients]
    if not node.controller:
        bound.append(f"CONTROLLER://{LOOPBACK}:{node.controller_port}")
    protocols = [f"{name}:PLAINTEXT" for name in ("CONTROLLER", *(each.name for each in clients))]
    return {
        **FIXED,
        "process.roles": "broker" if node.controller else "broker,controller",
        "node.id": str(node.node_id),
        "controller.quorum.voters": node.controller or f"{node.node_id}@{LOOPBACK}:{node.controller_port}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "CLIENTS",
        "listeners": ",".join(bound),
        "advertised.listeners": ",".join(f"{each.name}://{LOOPBACK}:{each.advertised_port}" for each in clients),
        "listener.security.protocol.map": ",".join(protocols),
        "log.dirs": str(node.data),
        **node.properties,
    }


def rendered(properties: Mapping[str, str]) -> str:
    """Return the text of a properties file, with each backslash in a value doubled, as Java expects."""
    lines = (f"{name}={value}".replace("\\", "\\\\") for name, value in properties.items())
    return "\n".join(lines) + "\n"
