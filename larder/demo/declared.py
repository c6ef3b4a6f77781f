"""What an application says about its demo: what flows, which workers run, what is counted. Starts nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

from larder.declaring.rows import Row
from larder.declaring.topics import EventTopic, OwnerTopic

Topic: TypeAlias = EventTopic | OwnerTopic
Publication: TypeAlias = tuple[Topic, Row]
"""A row or an event, and the topic that it is published into, under its own key."""


class History(NamedTuple):
    """What earlier demos published.

    rows     the newest row of each key, by topic; a row that was deleted since is among them.
    events   how many events there are.
    """

    rows: Mapping[OwnerTopic, Sequence[Row]]
    events: int


class Generator(Protocol):
    """What happens in the world outside the services. It does not wait and keeps no clock: time comes in."""

    def opening(self) -> Iterable[Publication]:
        """Give what has to be there before the first event."""

    def beat(self, events: int, now: float) -> Iterable[Publication]:
        """Give what happens next, with so many events; `now` in seconds since 1970. Called many times a second."""


@dataclass(frozen=True)
class Demo:
    """A demo of an application.

    generator   makes the generator, which goes on from what earlier demos published.
    rows        the owner topics that the generator writes, created as declared.
    events      the topic of the events whose rate is set.
    outputs     the topics that are counted, each by the word for what has become of an event there.
    workers     how many workers run, by service; their names are <service>-1, <service>-2, ...
    look_up     a row for people to look up: its topic, and its key as text.

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
        """What the events are called: the last part of their topic's name."""
        return noun(self.events)


def noun(topic: Topic) -> str:
    """Give the word for what is in a topic: "orders" for `shop.orders`."""
    return topic.name.rpartition(".")[2]
