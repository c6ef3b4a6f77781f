"""What a decide may read besides its own row: rows of the same partition, those of global tables, and the time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from larder.declaring.decisions import as_utc
from larder.declaring.partitioning import never_near, not_near, partition_of
from larder.declaring.sources import TableUse


class Source(NamedTuple):
    """A table: its local rows by encoded key, and its partition count, which is 0 for a global table."""

    row: Callable[[bytes], Any]
    partitions: int


class NearRows:
    """The rows that a decide's function may read in `partition`; `clock` returns seconds since the epoch."""

    def __init__(self, service: str, partition: int, sources: Mapping[str, Source], clock: Callable[[], float]) -> None:
        self._service = service
        self._partition = partition
        self._sources = sources
        self._clock = clock

    @property
    def now(self) -> datetime:
        return as_utc(self._clock())

    def get(self, table: TableUse, key: Any) -> Any:
        source = self._sources.get(table.name) if table.service == self._service else None
        if source is None:
            raise never_near(self._service, table)
        encoded = table.topic.key_codec.encode(key)
        if source.partitions and (place := partition_of(encoded, source.partitions)) != self._partition:
            raise not_near(table.topic, key, place, source.partitions, self._partition)
        return source.row(encoded)
