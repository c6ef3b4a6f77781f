"""What a broker says about topics, and the names of those of a service.

Facts are plain values that somebody else has asked for. Names of internal topics are
written here and nowhere else.
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
    """What a broker says about one topic."""

    partitions: int
    cleanup_policy: str
    max_message_bytes: int
    topic_id: str
    delete_retention_ms: int = 86_400_000


Facts: TypeAlias = Mapping[str, TopicFacts | None]
"""By topic name; None, or no entry, for a topic that does not exist."""


RESTORE: Final = (
    "create the one that was given partitions again with the number of before; add no partitions to topics of the"
    " service"
)
"""What to do where topics that belong together have other numbers of partitions: keys then belong elsewhere."""


def dead_letters_name(service: str) -> str:
    """Name the topic of what a service could not handle."""
    return f"{service}.dead-letters"


def waiting_name(service: str, join: Join) -> str:
    """Name the topic of the orders that wait for their partner."""
    return f"{service}.{join.into.name}.waiting"


def keys_name(service: str, rekeyed: Rekeyed) -> str:
    """Name the topic of the partitions that rekeyed rows lie in."""
    return f"{rekeyed.name_in(service)}.keys"


def joined_name(service: str, join: Join) -> str:
    """Name the topic in which the results of rekeyed rows come together by their own key."""
    return f"{service}.{join.into.name}.joined"


def replays_name(service: str, input_topic: str) -> str:
    """Name the topic of the records of an input that one step of the service is to process again."""
    return f"{input_topic if input_topic.startswith(f'{service}.') else f'{service}.{input_topic}'}.replays"


def wake_ups_name(service: str, decide: Decide) -> str:
    """Name the topic of the wake-ups that a decide has asked for."""
    return f"{service}.{decide.name}.wake-ups"


def input_name(service: Service, source: Source) -> str:
    """Name the topic that a join or a decide reads: internal, when it is rekeyed."""
    if isinstance(source, Rekeyed):
        return source.name_in(service.name)
    return source.name
