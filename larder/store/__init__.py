"""The store of read models: batches of records in, rows out.

The only place that imports rocksdict. Knows declarations of topics, but neither Kafka's client nor HTTP.
"""

from larder.declaring.records import Record
from larder.store.errors import (
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
from larder.store.layout import Origin
from larder.store.partition_state import Phase, State
from larder.store.reading.consistency import require_fresh, until_applied
from larder.store.reading.lists import Found
from larder.store.reading.progress import Progress, progress
from larder.store.reading.rows import TableSizes
from larder.store.records import Applied, Opened, Rejected, RejectedRecord
from larder.store.storage.memory import Memory
from larder.store.table import Table
from larder.store.tokens import Token, read_token

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
    "Phase",
    "Progress",
    "Record",
    "Rejected",
    "RejectedRecord",
    "State",
    "StoreCorruptedError",
    "StoreError",
    "StoreFullError",
    "StoreHeldError",
    "StoreRefusedError",
    "Table",
    "TableSizes",
    "Token",
    "TooStaleError",
    "progress",
    "read_token",
    "require_fresh",
    "until_applied",
]
