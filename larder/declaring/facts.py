"""What a broker reports about topics, and the names of a service's internal topics.

Facts are plain values; other modules ask the broker for them. The one place of the names of internal topics.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from larder.declaring.sources import Source
from larder.declaring.topics import Rekeyed

if TYPE_CHECKING:
    from larder.declaring.decides import Decide
    from larder.declaring.joins import Join
    from larder.declaring.service import Service


class TopicFacts(NamedTuple):
    """What a broker reports about one topic."""

    partitions: int
    cleanup_policy: str
    max_message_bytes: int
    topic_id: str
    delete_retention_ms: int = 86_400_000


Facts: TypeAlias = Mapping[str, TopicFacts | None]
"""By topic name; None or missing for a topic that does not exist."""


RESTORE: Final = (
    "recreate the topic that has grown, with its former number of partitions; add no partitions to topics of the"
    " service"
)
"""The instruction for topics whose numbers of partitions differ, so that keys belong to different ones."""


def dead_letters_name(service: str) -> str:
    """Name the topic of the dead letters of a service."""
    return f"{service}.dead-letters"


def waiting_name(service: str, join: Join) -> str:
    """Name the topic of the records that wait for their partner."""
    return f"{service}.{join.into.name}.waiting"


def keys_name(service: str, rekeyed: Rekeyed) -> str:
    """Name the topic that keeps the partitions of rekeyed rows."""
    return f"{rekeyed.name_in(service)}.keys"


def joined_name(service: str, join: Join) -> str:
    """Name the topic that collects the results of rekeyed rows by their own key."""
    return f"{service}.{join.into.name}.joined"


def replays_name(service: str, input_topic: str) -> str:
    """Name the topic of replayed records of an input."""
    return f"{input_topic if input_topic.startswith(f'{service}.') else f'{service}.{input_topic}'}.replays"


def wake_ups_name(service: str, decide: Decide) -> str:
    """Name the topic of the wake-ups of a decide."""
    return f"{service}.{decide.name}.wake-ups"


def input_name(service: Service, source: Source) -> str:
    """Name the topic that an operator reads for a source; an internal one if it is rekeyed."""
    if isinstance(source, Rekeyed):
        return source.name_in(service.name)
    return source.name
