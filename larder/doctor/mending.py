"""Commands that fix what was found, ready to type. Pure. They are all here so that they look alike everywhere."""

from __future__ import annotations

import shlex


def set_topic(bootstrap: str, topic: str, **config: object) -> str:
    """Return the command that changes settings of a topic: `cleanup_policy` stands for cleanup.policy."""
    return _configure(bootstrap, f"--entity-type topics --entity-name {shlex.quote(topic)}", config)


def set_brokers(bootstrap: str, **config: object) -> str:
    """Return the command that changes settings of all running brokers."""
    return _configure(bootstrap, "--entity-type brokers --entity-default", config)


def set_static(name: str, value: object) -> str:
    """Return how to change a setting that brokers read at their start."""
    return f"set {name}={value} in server.properties of each broker, and restart them one by one"


def add_partitions(bootstrap: str, topic: str, count: int) -> str:
    """Return the command that raises the number of partitions of a topic to `count`."""
    return f"kafka-topics.sh --bootstrap-server {bootstrap} --alter --topic {shlex.quote(topic)} --partitions {count}"


def create_topics(service: str = "") -> str:
    """Return the command that creates the missing topics of one service, or of all."""
    return f"larder topics {shlex.quote(service)} --create" if service else "larder topics --create"


def larder_setting(name: str, value: object) -> str:
    """Return how to change one of Larder's settings."""
    shown = f'"{value}"' if isinstance(value, str) else value
    return f"set {name} = {shown} in larder.toml (LARDER_{name.upper()}={value}), and restart the workers"


def _configure(bootstrap: str, entity: str, config: dict[str, object]) -> str:
    added = ",".join(f"{name.replace('_', '.')}={value}" for name, value in config.items())
    return f"kafka-configs.sh --bootstrap-server {bootstrap} --alter {entity} --add-config {added}"
