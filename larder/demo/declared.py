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
class Program:
    """A program of the project: `python -m MODULE --port PORT`.

    name    its address is in the variable <NAME>_URL.
    page    what its page is, for people who read the screen; "" if it has none.
    """

    name: str
    module: str
    page: str = ""


@dataclass(frozen=True)
class Beside:
    """What runs beside the counted workers, once the first event has been processed.

    All of it has variables such as ORDERS_URL in its environment: the address of each worker and program here.

    workers    services, with one worker each.
    programs   programs of the project.
    """

    workers: Sequence[str]
    programs: Sequence[Program] = ()


@dataclass(frozen=True)
class Demo:
    """A demo of an application.

    generator   creates the generator, which continues from what earlier demos published.
    rows        the owner topics that the generator writes, created as declared.
    events      the topic of the events whose rate is set.
    outputs     the topics to count, each by a word for the outcome of its events, as in "20 enriched".
    workers     the number of workers of each service; their names are <service>-1, <service>-2, ...
    look_up     a row that the demo suggests to look up: its topic, and its key as text.
    beside      what else runs; `larder demo --joins-only` leaves it out.

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
    beside: Beside | None = None

    @property
    def services(self) -> Sequence[str]:
        """All services that run."""
        return [*self.workers, *(self.beside.workers if self.beside else ())]

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
