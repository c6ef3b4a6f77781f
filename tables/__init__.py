"""What data there is: one module for each context, and the words to declare it with.

Declarations only: importing any of it starts nothing.
"""

from tables.declaring import (
    DeclarationError,
    EventTopic,
    LarderError,
    OwnerTopic,
    Problem,
    Rekeyed,
    Row,
)

__all__ = [
    "DeclarationError",
    "EventTopic",
    "LarderError",
    "OwnerTopic",
    "Problem",
    "Rekeyed",
    "Row",
]
