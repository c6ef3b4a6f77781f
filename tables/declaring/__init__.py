"""What data there is: topics, row types, keys, and the form of a mistake.

Inert values only. Nothing here knows a broker, a store or a service.
"""

from tables.declaring.problems import DeclarationError, LarderError, Problem
from tables.declaring.rows import Row
from tables.declaring.topics import EventTopic, OwnerTopic, Rekeyed

__all__ = [
    "DeclarationError",
    "EventTopic",
    "LarderError",
    "OwnerTopic",
    "Problem",
    "Rekeyed",
    "Row",
]
