"""The declaration of an application's demo: its data, workers and outputs. Starts nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

from larder.declaring.rows import Row
from larder.declaring.topics import EventTopic, OwnerTopic

Topic: TypeAlias = EventTopic | OwnerTopic
Publication: TypeAlias = tuple[Topic, Row]
"""A topic, and a row or event to publish into it. The key of the record is that of the row."""


class History(NamedTuple):
    """What earlier demos published.

    rows     the newest row of each key, by topic. Deleted rows are included.
    events   the number of events.
    """

    rows: Mapping[OwnerTopic, Sequence[Row]]
    events: int


class Generator(Protocol):
    """Produces the data that the services read. It neither waits nor reads a clock: the caller passes the time."""

    def opening(self) -> Iterable[Publication]:
        """Yield the rows that have to exist before the first event."""

    def beat(self, events: int, now: float) -> Iterable[Publication]:
        """Yield the next rows and exactly `events` events. Called many times a second; `now` in seconds since 1970."""


@dataclass(frozen=True)
class Demo:
    """A demo of an application.

    generator   creates the generator, which continues from what earlier demos published.
    rows        the owner topics that the generator writes, created as declared.
    events      the topic of the events whose rate is set.
    outputs     the topics to count, each by a word for the outcome of its events, as in "20 enriched".
    workers     the number of workers of each service; their names are <service>-1, <service>-2, ...
    look_up     a row that the demo suggests to look up: its topic, and its key as text.

    >>> demo = Demo(
    ...     generator=open_shop,
    ...     rows=[shop.customers, shop.products],
    ...     events=shop.orders,
    ...     outputs={"enriched": shop.enriched_orders},
    ...     workers={"shipping": 2},
    ...     look_up=(shop.customers, "c00001"),
    ... )
    """

    generator: Callable[[History], Generator]
    rows: Sequence[OwnerTopic]
    events: EventTopic
    outputs: Mapping[str, Topic]
    workers: Mapping[str, int]
    look_up: tuple[OwnerTopic, str]

    @property
    def topics(self) -> Sequence[Topic]:
        """The topics that the generator writes."""
        return [*self.rows, self.events]

    @property
    def noun(self) -> str:
        """The noun for the events: the last part of their topic's name."""
        return noun(self.events)


def noun(topic: Topic) -> str:
    """Return the noun for the records of a topic: "orders" for `shop.orders`."""
    return topic.name.rpartition(".")[2]
