"""The requests that a state has counted: a table of the service, beside the state, in the same partitions.

A request with an `Idempotency-Key` counts once for a day, also if its row is gone by then (rule 37).
"""

from __future__ import annotations

from typing import Final

import msgspec

from larder.declaring.rows import Row
from larder.declaring.sources import TableUse
from larder.declaring.topics import OwnerTopic, Rekeyed, of_generation

KEPT_SECONDS: Final = 86_400.0
"""How long a request is remembered."""

NO_ROW: Final = msgspec.Raw(b"null")


class CountedRequest(Row):
    """A request that was decided, and its first answer.

    id        a hash of its address, its scope and its key.
    place     the key of its row, encoded: it has the same partition.
    digest    a hash of its value.
    at        when it was decided, in seconds since the epoch.
    row       the row as it was afterwards, or null.
    existed   whether there was a row before.
    """

    id: bytes
    place: bytes
    digest: bytes
    at: float
    row: msgspec.Raw
    revision: int | None = None
    existed: bool = False
    refusal: str | None = None


def is_forgotten(request: CountedRequest, now: float) -> bool:
    """Return whether a request was decided too long before `now`, in seconds since the epoch, to be remembered."""
    return request.at + KEPT_SECONDS < now


def requests_name(service: str, state: TableUse) -> str:
    """Return the name of the topic of the requests that a state has counted."""
    return of_generation(f"{service}.{state.name}.requests", state.generation)


def requests_topic(name: str, partitions: int | None = None) -> OwnerTopic:
    """Return the table of counted requests, by id."""
    return OwnerTopic(name, CountedRequest, key="id", key_type=bytes, partitions=partitions)


def by_place(name: str) -> Rekeyed:
    """Return counted requests by the key of their row, which places them in another generation of the service."""
    return requests_topic(name).by("place")
