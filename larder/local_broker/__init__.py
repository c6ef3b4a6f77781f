"""A real Kafka broker without Docker, Java or Kafka on the machine: for demos, tests and a first look."""

from larder.local_broker.broker import LocalBroker
from larder.local_broker.occupancy import Running, running
from larder.local_broker.properties import Listener

__all__ = ["Listener", "LocalBroker", "Running", "running"]
