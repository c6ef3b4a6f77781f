"""Which broker a command talks to: the one that is set, else the local one that runs."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from larder.config.connection import Connection
from larder.config.errors import UnavailableError
from larder.config.settings import load_settings
from larder.declaring.problems import Problem
from larder.local_broker import LocalBroker
from larder.local_broker.probe import answers_now
from larder.local_broker.properties import LOOPBACK

if TYPE_CHECKING:
    from pathlib import Path

    from larder.config.settings import Loaded


def serving_broker() -> Connection:
    """Say how to reach the broker in use: the one that was set, else the local one; it answers.

    Raises `UnavailableError` when it does not, or when none runs.
    """
    if existing := existing_broker():
        require_answer(existing)
        return Connection(existing)
    broker = local_broker()
    running = broker.running
    if running is None:
        problem = Problem(
            f"local broker in {broker.directory}",
            "requires to run",
            "none running",
            "start it (larder broker start, or larder demo), or set KAFKA=host:port to use another one",
        )
        raise UnavailableError(problem)
    broker.port = running.port
    require_answer(broker.bootstrap)
    return Connection(broker.bootstrap)


def existing_broker() -> str:
    """Give the address of a broker that the user has set; empty when the local one is meant."""
    loaded = load_settings()
    return "" if loaded.origins["kafka"] == "default" else loaded.settings.kafka


def settings_in_use() -> Loaded:
    """Give the settings, `kafka` as commands use it: what was set, else the address of a local broker that runs."""
    loaded = load_settings()
    if loaded.origins["kafka"] != "default" or not (address := broker_address(local_broker())):
        return loaded
    settings = dataclasses.replace(loaded.settings, kafka=address)
    return loaded._replace(settings=settings, origins={**loaded.origins, "kafka": "local broker"})


def local_broker(port: int | None = None) -> LocalBroker:
    """Describe the local broker of the working directory; nothing is started."""
    settings = load_settings().settings
    directory: Path = settings.directory / "broker"
    broker = LocalBroker(directory, cache=settings.cache)
    default = int(settings.kafka.rpartition(":")[2])
    # A running broker keeps its port, whatever the default is; only a port that was asked for is insisted on.
    broker.port = port or (0 if broker.running else default)
    return broker


def require_answer(bootstrap: str) -> None:
    """Raise `UnavailableError` unless the broker that the user has set answers."""
    if not answers_now(bootstrap):
        raise UnavailableError(
            Problem(
                f"broker {bootstrap} (setting kafka)",
                "requires a Kafka broker that answers there",
                "none",
                "start it, or leave out KAFKA to use a local one",
            )
        )


def broker_address(broker: LocalBroker) -> str:
    """Give the address of the local broker that runs; empty when none does."""
    return f"{LOOPBACK}:{running.port}" if (running := broker.running) else ""
