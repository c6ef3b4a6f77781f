"""What a broker reports about topics, and the names of a service's internal topics.

Facts are plain values; other modules ask the broker for them. The names of internal topics are defined here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from larder.declaring.sources import Source, TableUse
from larder.declaring.topics import Rekeyed, of_generation

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
"""The facts by topic name; None or missing for a topic that does not exist."""


RESTORE: Final = (
    "recreate the topic that has grown, with its former number of partitions; add no partitions to topics of the"
    " service"
)
"""The instruction for topics with different partition counts, in which a key belongs to different partitions."""


def dead_letters_name(service: str) -> str:
    """Return the name of the topic of a service's dead letters."""
    return f"{service}.dead-letters"


def waiting_name(service: str, join: Join) -> str:
    """Return the name of the topic of records that wait for their partner."""
    read_in = join.source.generation if isinstance(join.source, Rekeyed) else 1
    return of_generation(f"{service}.{join.into.name}.waiting", read_in)


def keys_name(service: str, rekeyed: Rekeyed) -> str:
    """Return the name of the topic that stores the partitions of rekeyed rows."""
    # The places of rows lie where the source's partitions are, in all generations.
    return f"{replace(rekeyed, generation=1).name_in(service)}.keys"


def joined_name(service: str, join: Join) -> str:
    """Return the name of the topic that collects the results of rekeyed rows by their own key."""
    return f"{service}.{join.into.name}.joined"


def replays_name(service: str, input_topic: str) -> str:
    """Return the name of the topic of an input's replayed records."""
    return f"{input_topic if input_topic.startswith(f'{service}.') else f'{service}.{input_topic}'}.replays"


def wake_ups_name(service: str, decide: Decide) -> str:
    """Return the name of the topic of a decide's wake-ups."""
    return of_generation(f"{service}.{decide.name}.wake-ups", decide.state.generation)


def rows_name(service: str, table: TableUse) -> str:
    """Name the topic of a state's rows, if its own topic has another number of partitions than the service."""
    return of_generation(f"{service}.{table.name}.rows", table.generation)


def growth_name(service: str) -> str:
    """Name the topic with the generations of a service."""
    return f"{service}.growth"


def input_name(service: Service, source: Source) -> str:
    """Return the name of the topic that an operator reads for a source; an internal one if the source is rekeyed."""
    if isinstance(source, Rekeyed):
        return source.name_in(service.name)
    return source.name
