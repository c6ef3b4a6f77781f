"""Tests services without a broker: a driver takes records one by one, and a run takes whole lists."""

from larder.testing import calls, decides, reactions, requests, waiting  # noqa: F401 - each registers its kind of operator
from larder.testing.driver import Driver, UnreadDeadLettersError
from larder.testing.lists import run_in_memory
from larder.testing.records import MemoryAnswer, MemoryLetter, MemoryRecord, TopicRecords
from larder.testing.tables import TableView

__all__ = [
    "Driver",
    "MemoryAnswer",
    "MemoryLetter",
    "MemoryRecord",
    "TableView",
    "TopicRecords",
    "UnreadDeadLettersError",
    "run_in_memory",
]
