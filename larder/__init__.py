"""Local read models on Kafka: joins and look-ups that never cross the network.

The words to declare topics and services with. Importing them starts nothing.
"""

from larder.declaring.calls import Retry, Unavailable
from larder.declaring.decisions import Decision, Delete, Wake
from larder.declaring.missing import DeadLetter, Drop, PassOn, Wait
from larder.declaring.rows import Row
from larder.declaring.service import Service
from larder.declaring.topics import EventTopic, OwnerTopic

__all__ = [
    "DeadLetter",
    "Decision",
    "Delete",
    "Drop",
    "EventTopic",
    "OwnerTopic",
    "PassOn",
    "Retry",
    "Row",
    "Service",
    "Unavailable",
    "Wait",
    "Wake",
]
