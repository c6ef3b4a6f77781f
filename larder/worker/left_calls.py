"""Calls that wait under a name that their service does not declare any more: nobody would ever make them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from aiokafka.structs import TopicPartition

from larder.declaring.calls import Call
from larder.declaring.plurals import counted
from larder.declaring.problems import DeclarationError, Problem
from larder.declaring.service import Service
from larder.kafka.admin import Cluster
from larder.kafka.readers import reader, records, spans


async def require_no_calls_left(cluster: Cluster, service: Service) -> None:
    """Raise DeclarationError if calls wait in a topic of a call that was renamed or removed; KafkaError."""
    problems = []
    for call, topic in undeclared_calls(service, await cluster.names()).items():
        if count := await _waiting(cluster, topic):
            problems.append(_problem(service, call, topic, count))
    if problems:
        raise DeclarationError(problems)


def undeclared_calls(service: Service, topics: Iterable[str]) -> Mapping[str, str]:
    """Return the topics of calls that a service does not declare, by the name of the call: the newest generation's.

    The name of a call has no dot. So a topic of the service `shop.payments` is none of the service `shop`.
    """
    pattern = re.compile(rf"{re.escape(service.name)}\.(?P<call>[^.]+)\.calls(?:\.g(?P<generation>\d+))?")
    declared = {each.name for each in service.calls}
    found: dict[str, tuple[int, str]] = {}
    for topic in topics:
        if (match := pattern.fullmatch(topic)) is not None and match["call"] not in declared:
            newest = found.get(match["call"], (0, topic))
            found[match["call"]] = max(newest, (int(match["generation"] or 1), topic))
    return {call: topic for call, (_, topic) in found.items()}


async def _waiting(cluster: Cluster, topic: str) -> int:
    """Return how many calls a topic has: keys whose last record is a row."""
    facts = (await cluster.facts([topic]))[topic]
    async with reader(cluster.connection) as consumer:
        tps = [TopicPartition(topic, partition) for partition in range(facts.partitions)]
        rows: set[tuple[int, bytes | None]] = set()
        for tp, span in (await spans(consumer, tps)).items():
            async for some in records(consumer, tp, span):
                for record in some:
                    (rows.discard if record.value is None else rows.add)((tp.partition, record.key))
    return len(rows)


def _problem(service: Service, call: str, topic: str, count: int) -> Problem:
    return Problem(
        f"service {service.name}",
        f"requires a call {call}, for which calls wait",
        f"{counted(count, 'call')} in {topic}, and {_names(service.calls)}",
        f'give the function its old name, or the call name="{call}"; or give the calls up: larder calls skip'
        " with the earlier version, or delete the topic",
    )


def _names(calls: Sequence[Call]) -> str:
    return f"the declared calls {', '.join(each.name for each in calls)}" if calls else "no declared call"
