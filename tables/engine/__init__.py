"""The store of read models: batches of records in, rows out.

The only place that imports rocksdict. It knows declarations of topics, and neither
Kafka's client nor HTTP.
"""

from tables.declaring.records import Record
from tables.engine.consistency import require_fresh, until_applied
from tables.engine.errors import (
    BehindError,
    IndexBuildingError,
    InvalidRangeError,
    InvalidTokenError,
    LimitError,
    NoSuchIndexError,
    NotHeldError,
    NotYetError,
    OtherTopicError,
    StoreCorruptedError,
    StoreError,
    StoreFullError,
    StoreHeldError,
    StoreRefusedError,
    TooStaleError,
)
from tables.engine.layout import Origin
from tables.engine.memory import Memory
from tables.engine.progress import Progress, progress
from tables.engine.reading import Found
from tables.engine.records import Applied, Opened, ParkedRecord, Rejected
from tables.engine.rows import Sizes
from tables.engine.state import Phase, State
from tables.engine.table import Table
from tables.engine.tokens import Token, read_token

__all__ = [
    "Applied",
    "BehindError",
    "Found",
    "IndexBuildingError",
    "InvalidRangeError",
    "InvalidTokenError",
    "LimitError",
    "Memory",
    "NoSuchIndexError",
    "NotHeldError",
    "NotYetError",
    "Opened",
    "Origin",
    "OtherTopicError",
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
    "Token",
    "TooStaleError",
    "progress",
    "read_token",
    "require_fresh",
    "until_applied",
]
