"""The facts about a running system, except for its records, as plain values."""

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
    """A topic as the broker describes it: settings by Kafka's names, least replicas, log starts and ends.

    `begins` and `ends` are by partition; an end is the last stable offset. Both are 0 for a partition without a leader,
    where they are unknown.
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
        """The number of partitions."""
        return len(self.ends)

    @property
    def span(self) -> int:
        """The number of offsets between the starts and the ends of its logs."""
        return sum(end - self.begins[at] for at, end in self.ends.items())

    def number(self, name: str, default: int) -> int:
        """Return a numeric setting, or Kafka's `default` if the broker does not report it."""
        return int(self.config.get(name) or default)

    @property
    def facts(self) -> TopicFacts:
        """The facts that declarations are checked against."""
        return TopicFacts(
            self.partitions,
            self.config.get("cleanup.policy", "delete"),
            self.number("max.message.bytes", 1_048_588),
            self.topic_id,
            self.number("delete.retention.ms", 86_400_000),
        )


class Brokers(NamedTuple):
    """The number of brokers, the settings of one, and the replicas of the transaction log (None: not created yet).

    `transaction_in_sync`: min.insync.replicas of the transaction log, which brokers set when they create it.
    """

    up: int
    config: Mapping[str, str]
    transaction_replicas: int | None = None
    transaction_in_sync: int = 0

    def number(self, name: str, default: int) -> int:
        """Return a numeric setting, or Kafka's `default` if the broker does not report it."""
        return int(self.config.get(name) or default)


class GroupFacts(NamedTuple):
    """The consumer group of a service: its workers, its committed offsets, and foreign members."""

    workers: tuple[str, ...] = ()
    committed: Mapping[TopicPartition, Committed] = {}
    foreign: tuple[str, ...] = ()


class Absence(NamedTuple):
    """How many seconds a worker has been, or is expected to be, away from the end of its topics. `who` names it."""

    who: str
    seconds: float
    expected: bool = False


class WorkerState(NamedTuple):
    """A worker that runs on this machine. `status` is its own answer, or None if it does not answer."""

    service: str
    worker: str
    status: Mapping[str, Any] | None


class System(NamedTuple):
    """All facts that audits examine, except for records.

    `remembered`: topic ids of the inputs that workers on this machine have committed, by service and topic.
    `placed`: for each worker on this machine, the topics that determine its placement, as it first read them.
    `owners`: the only service that may write a topic, as declared; `claims`: as claimed in the cluster.
    `refusals`: why the broker would refuse to create a topic of a worker, by topic. `now_ms`: when this was gathered.
    `open_transactions`: the first open transaction of each partition that has one.
    `letters`: unsettled dead letters, by service.
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
        """The facts of all topics, by name, that declarations are checked against."""
        return {name: topic.facts for name, topic in self.topics.items()}

    @property
    def longest_absence(self) -> Absence | None:
        """The longest absence, observed or expected."""
        return max(self.absences, key=lambda absence: absence.seconds, default=None)

    @property
    def expected_absence(self) -> Absence | None:
        """The absence that the operator expects (`--absence`): how long a whole service may be away."""
        return next((absence for absence in self.absences if absence.expected), None)

    @property
    def uses(self) -> Iterator[tuple[Service, TopicUse]]:
        """Each topic of each service, with its use."""
        facts = self.facts
        for service in self.services:
            for use in topics_of(service, facts):
                yield service, use


def duration(seconds: float) -> str:
    """Return a duration in words.

    >>> duration(90_000)
    '25 h'
    """
    for size, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size or (unit != "days" and seconds >= size):
            return f"{seconds / size:g} {unit}" if seconds % size == 0 else f"{seconds / size:.1f} {unit}"
    return f"{seconds:g} s"
