"""A real Kafka broker without Docker, Java or Kafka on the machine: for the demo, for tests, for a first look."""

from app.broker.local import LocalBroker
from app.broker.occupancy import Running, running
from app.broker.properties import Listener

__all__ = ["Listener", "LocalBroker", "Running", "running"]
