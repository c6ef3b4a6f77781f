"""Results whose timestamp is older than their topic's retention: the broker deletes them at once. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from aiokafka.structs import TopicPartition

from larder.declaring.plurals import plural
from larder.declaring.sources import events_of
from larder.declaring.topics import EventTopic
from larder.doctor.facts import duration
from larder.doctor.findings import Finding, Met
from larder.doctor.mending import set_topic
from larder.observability.conditions import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from larder.declaring.service import Service
    from larder.doctor.facts import System, TopicState
    from larder.doctor.records import SeenRecord

AUDIT = "ages"

FOREVER: Final = -1


class ResultRoute(NamedTuple):
    """The topic that results of records go into, and how long they stay there, in ms.

    `kept_ms`: older results are deleted at once. `rolled_ms`: by this age, results that were new when they were
    written are deleted. `processed`: the next offset to process, by partition of the records.
    """

    service: str
    into: str
    kept_ms: int
    rolled_ms: int
    processed: Mapping[int, int]


class Ages:
    """Compares the timestamps of a topic's records with the retention of the topics that their results go into."""

    def __init__(self, bootstrap: str, topic: str, ways: Sequence[ResultRoute], now_ms: float) -> None:
        """Start without records."""
        self._bootstrap = bootstrap
        self._topic = topic
        self._ways = ways
        self._now_ms = now_ms
        self._coming = [Met() for _ in ways]
        self._done = [Met() for _ in ways]

    def take(self, seen: Sequence[SeenRecord]) -> None:
        """Examine more records."""
        for way, coming, done in zip(self._ways, self._coming, self._done, strict=True):
            for each in seen:
                age = self._now_ms - each.record.timestamp
                if each.record.timestamp < 0 or age <= way.kept_ms:
                    continue
                if each.place.offset >= way.processed.get(each.place.partition, 0):
                    coming.add(each.place)
                elif age > way.rolled_ms:
                    done.add(each.place)

    def findings(self) -> Iterator[Finding]:
        """Yield the findings so far."""
        for way, coming, done in zip(self._ways, self._coming, self._done, strict=True):
            if coming.count:
                yield self._finding(way, coming, Severity.WARNING, f"{way.service} has yet to process")
            if done.count:
                yield self._finding(way, done, Severity.HINT, f"{way.service} has processed")

    def _finding(self, way: ResultRoute, met: Met, severity: Severity, who: str) -> Finding:
        return Finding(
            severity,
            AUDIT,
            f"topic {way.into}",
            f"it keeps results for {duration(way.kept_ms / 1000)} (retention.ms); of the records of {self._topic} that"
            f" {who}, {met.count:,} in the sample {plural(met.count, 'is', 'are')} older",
            "a result carries the time of its record: the broker deletes these results within minutes",
            (
                set_topic(self._bootstrap, way.into, retention_ms=FOREVER),
                "or, to keep results from when they are written: "
                + set_topic(self._bootstrap, way.into, message_timestamp_type="LogAppendTime"),
            ),
            tuple(met.samples),
        )


def ways(system: System, topic: str) -> list[ResultRoute]:
    """Return the outputs with a time retention that results of the records of `topic` go into, each once."""
    return list(
        {
            (service.name, into): way
            for service in system.services
            for source, into in _results(service)
            if source == topic and (way := _way(system, service, topic, into)) is not None
        }.values()
    )


def _results(service: Service) -> Iterator[tuple[str, str]]:
    """Yield each topic of events whose records have results, and where these go."""
    for operator in service.operators:
        tables = {table.name for table in operator.uses()}
        for events in map(events_of, operator.reads()):
            if isinstance(events, EventTopic):
                yield from ((events.name, into.name) for into in operator.writes() if into.name not in tables)


def _way(system: System, service: Service, topic: str, into: str) -> ResultRoute | None:
    output = system.topics.get(into)
    if output is None or (kept := _kept_ms(output)) is None:
        return None
    group = system.groups.get(service.name)
    committed = {} if group is None else group.committed
    processed = {
        at: committed[tp].offset for at in system.topics[topic].ends if (tp := TopicPartition(topic, at)) in committed
    }
    return ResultRoute(service.name, into, kept, kept + output.number("segment.ms", 604_800_000), processed)


def _kept_ms(output: TopicState) -> int | None:
    """Return how long the broker keeps records by their own timestamp, in ms; None if it ignores the timestamp."""
    kept = output.number("retention.ms", 604_800_000)
    own = output.config.get("message.timestamp.type", "CreateTime") == "CreateTime"
    return kept if own and kept != FOREVER and "delete" in output.facts.cleanup_policy else None
