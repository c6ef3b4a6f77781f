"""Which broker a command uses: the one in the settings, else the running local one."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from larder.config.connection import Connection
from larder.config.errors import UnavailableError
from larder.config.settings import load_settings
from larder.declaring.problems import Problem
from larder.kafka.broker_probe import answers_now
from larder.local_broker import LocalBroker
from larder.local_broker.properties import LOOPBACK

if TYPE_CHECKING:
    from pathlib import Path

    from larder.config.settings import Loaded


def serving_broker() -> Connection:
    """Return the connection to the broker in use: the one in the settings, else the local one.

    Raises `UnavailableError` if it does not answer, or if none runs.
    """
    if existing := existing_broker():
        require_answer(existing)
        return existing
    broker = local_broker()
    connection = running_broker(broker)
    if connection is None:
        problem = Problem(
            f"local broker in {broker.directory}",
            "requires a running broker",
            "none running",
            "start it (larder broker start, or larder demo), or set KAFKA=host:port to use another one",
        )
        raise UnavailableError(problem)
    require_answer(connection)
    return connection


def existing_broker() -> Connection | None:
    """Return the connection to the broker in the settings; None if they name none."""
    loaded = load_settings()
    return None if loaded.origins["kafka"] == "default" else loaded.settings.connection


def settings_in_use() -> Loaded:
    """Return the settings with the `kafka` that commands use: the one that is set, else the running local broker."""
    loaded = load_settings()
    if loaded.origins["kafka"] != "default" or not (connection := running_broker(local_broker())):
        return loaded
    settings = dataclasses.replace(loaded.settings, kafka=connection.bootstrap)
    return loaded._replace(settings=settings, origins={**loaded.origins, "kafka": "local broker"})


def local_broker(port: int | None = None) -> LocalBroker:
    """Describe the local broker of the working directory, without starting it."""
    settings = load_settings().settings
    directory: Path = settings.directory / "broker"
    broker = LocalBroker(directory, cache=settings.cache)
    default = int(settings.kafka.rpartition(":")[2])
    # A running broker keeps its port, whatever the default is. Only a port that the user set has to match.
    broker.port = port or (0 if broker.running else default)
    return broker


def require_answer(connection: Connection) -> None:
    """Raise `UnavailableError` unless the broker in the settings answers."""
    if not answers_now(connection):
        raise UnavailableError(
            Problem(
                f"broker {connection} (setting kafka)",
                "requires a Kafka broker that answers there",
                "none",
                "start it, or leave out KAFKA to use a local one",
            )
        )


def running_broker(broker: LocalBroker) -> Connection | None:
    """Return the connection to the running local broker; None if none runs."""
    return Connection(f"{LOOPBACK}:{running.port}") if (running := broker.running) else None
