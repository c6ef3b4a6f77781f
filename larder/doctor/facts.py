"""What is known of a running system besides its records, as plain values that somebody else has asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from larder.declaring.facts import TopicFacts
from larder.declaring.topology import topics_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiokafka.structs import TopicPartition

    from larder.config.settings import Settings
    from larder.dead_letters.tallying import Tally
    from larder.declaring.problems import Problem
    from larder.declaring.service import Service
    from larder.declaring.topology import TopicUse
    from larder.kafka.committed import Committed
    from larder.kafka.open_transactions import OpenTransaction
    from larder.kafka.topic_metadata import Described


class TopicState(NamedTuple):
    """A topic as the broker has it: settings by Kafka's names, fewest replicas of a partition, log starts and ends.

    `begins` and `ends` are by partition; an end is that of what is committed. Those of a partition without a leader
    are not known: they are 0.
    """

    name: str
    topic_id: str
    config: Mapping[str, str]
    replicas: int
    begins: Mapping[int, int]
    ends: Mapping[int, int]
    leaderless: tuple[int, ...] = ()

    @property
    def partitions(self) -> int:
        """How many there are."""
        return len(self.ends)

    @property
    def span(self) -> int:
        """How many offsets its logs span."""
        return sum(end - self.begins[at] for at, end in self.ends.items())

    def number(self, name: str, default: int) -> int:
        """Give a setting that is a number; `default`, as Kafka has it, for what the broker does not tell."""
        return int(self.config.get(name) or default)

    @property
    def facts(self) -> TopicFacts:
        """What declarations are checked against."""
        return TopicFacts(
            self.partitions,
            self.config.get("cleanup.policy", "delete"),
            self.number("max.message.bytes", 1_048_588),
            self.topic_id,
            self.number("delete.retention.ms", 86_400_000),
        )


class Brokers(NamedTuple):
    """How many brokers there are, the settings of one, and the replicas of the transaction log (None: not made yet).

    `transaction_in_sync`: how many of these have to have what is written; brokers tell it to the log when it is made.
    """

    up: int
    config: Mapping[str, str]
    transaction_replicas: int | None = None
    transaction_in_sync: int = 0

    def number(self, name: str, default: int) -> int:
        """Give a setting that is a number; `default`, as Kafka has it, for what the broker does not tell."""
        return int(self.config.get(name) or default)


class GroupFacts(NamedTuple):
    """The consumer group of a service: its workers, what it has committed, and who else is a member."""

    workers: tuple[str, ...] = ()
    committed: Mapping[TopicPartition, Committed] = {}
    foreign: tuple[str, ...] = ()


class Absence(NamedTuple):
    """That a worker has not been at the end of its topics for so long, in seconds, or that one is expected to be.

    `who` says which.
    """

    who: str
    seconds: float
    expected: bool = False


class WorkerState(NamedTuple):
    """A worker that runs here; `status` is what it answers about itself, None when it does not."""

    service: str
    worker: str
    status: Mapping[str, Any] | None


class System(NamedTuple):
    """All that is looked at, but for records.

    `remembered`: topic ids of the inputs that workers here have committed for, by service and topic.
    `placed`: for each worker here, the topics by whose number of partitions it places records, as it first read them.
    `owners`: the only service that may write a topic, as declared; `claims`: as claimed in the cluster.
    `refusals`: why the broker would not create topics that workers create, by topic. `now_ms`: when all this was seen.
    `open_transactions`: the first one of each partition that had one.
    `letters`: dead letters that are not settled, by service.
    """

    bootstrap: str
    services: Sequence[Service]
    settings: Settings
    topics: Mapping[str, TopicState]
    brokers: Brokers
    groups: Mapping[str, GroupFacts] = {}
    workers: Sequence[WorkerState] = ()
    absences: Sequence[Absence] = ()
    remembered: Mapping[str, Mapping[str, str]] = {}
    placed: Mapping[str, Sequence[Mapping[str, Described]]] = {}
    owners: Mapping[str, str] = {}
    claims: Mapping[str, str] = {}
    refusals: Mapping[str, Problem] = {}
    now_ms: float = 0.0
    open_transactions: Mapping[TopicPartition, OpenTransaction] = {}
    letters: Mapping[str, Tally] = {}

    @property
    def facts(self) -> dict[str, TopicFacts]:
        """Topics as declarations are checked against them."""
        return {name: topic.facts for name, topic in self.topics.items()}

    @property
    def longest_absence(self) -> Absence | None:
        """The longest one that is seen or expected."""
        return max(self.absences, key=lambda absence: absence.seconds, default=None)

    @property
    def expected_absence(self) -> Absence | None:
        """The one that somebody has said to expect: a service as a whole may be away for so long."""
        return next((absence for absence in self.absences if absence.expected), None)

    @property
    def uses(self) -> Iterator[tuple[Service, TopicUse]]:
        """Each topic of each service."""
        facts = self.facts
        for service in self.services:
            for use in topics_of(service, facts):
                yield service, use


def duration(seconds: float) -> str:
    """Give a length of time as people say it.

    >>> duration(90_000)
    '25 h'
    """
    for size, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size or (unit != "days" and seconds >= size):
            return f"{seconds / size:g} {unit}" if seconds % size == 0 else f"{seconds / size:.1f} {unit}"
    return f"{seconds:g} s"
