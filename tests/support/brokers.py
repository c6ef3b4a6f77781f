"""Brokers that tests start for themselves, each stopped at the end of its block."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from larder.local_broker import LocalBroker


@contextmanager
def local_broker(directory: Path, properties: Mapping[str, str] | None = None) -> Iterator[str]:
    """Start a broker in `directory`, wait for it, and yield its address."""
    broker = LocalBroker(directory, properties=properties)
    broker.start()
    try:
        broker.wait_ready()
        yield broker.bootstrap
    finally:
        broker.stop()
