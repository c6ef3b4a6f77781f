"""The store of read models: batches of records in, rows out.

The only place that imports rocksdict. It knows declarations of topics, and neither
Kafka's client nor HTTP.
"""

from tables.engine.errors import (
    IndexBuildingError,
    InvalidRangeError,
    LimitError,
    NoSuchIndexError,
    NotHeldError,
    StoreCorruptedError,
    StoreError,
    StoreFullError,
    StoreHeldError,
    StoreRefusedError,
)
from tables.engine.layout import Origin
from tables.engine.memory import Memory
from tables.engine.progress import Progress, progress
from tables.engine.reading import Found
from tables.engine.records import Applied, Opened, ParkedRecord, Record, Rejected
from tables.engine.rows import Sizes
from tables.engine.state import Phase, State
from tables.engine.table import Table

__all__ = [
    "Applied",
    "Found",
    "IndexBuildingError",
    "InvalidRangeError",
    "LimitError",
    "Memory",
    "NoSuchIndexError",
    "NotHeldError",
    "Opened",
    "Origin",
    "ParkedRecord",
    "Phase",
    "Progress",
    "Record",
    "Rejected",
    "Sizes",
    "State",
    "StoreCorruptedError",
    "StoreError",
    "StoreFullError",
    "StoreHeldError",
    "StoreRefusedError",
    "Table",
    "progress",
]
