"""Collects the facts for the audits from the broker, from workers on this machine, and from their directories.

Decides nothing.
"""

from __future__ import annotations

import contextlib
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

from aiokafka.errors import IncompatibleBrokerVersion, TopicAuthorizationFailedError
from aiokafka.structs import TopicPartition

from larder.assembly.memo import Memo
from larder.client.local_workers import ask_all, local_workers
from larder.config.connection import Connection
from larder.config.declared import owner_of, topics
from larder.dead_letters.reading import tally_letters
from larder.declaring.claims import OWNERS
from larder.declaring.facts import dead_letters_name
from larder.declaring.topology import topics_of
from larder.doctor.facts import Absence, Brokers, GroupFacts, System, TopicState, WorkerState
from larder.kafka.admin import Cluster
from larder.worker.generations import as_run
from larder.worker.topic_ownership import claims

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from larder.client.local_workers import Reply
    from larder.config.settings import Settings
    from larder.dead_letters.tallying import Tally
    from larder.declaring.facts import TopicFacts
    from larder.declaring.problems import Problem
    from larder.declaring.service import Service
    from larder.kafka.batch_consumer import BatchConsumer
    from larder.kafka.open_transactions import OpenTransaction

_OFFSETS: Final = "__consumer_offsets"
_TRANSACTIONS: Final = "__transaction_state"
_MEMO: Final = "worker.json"


class AuditScope(NamedTuple):
    """What to audit: the services in `only`, of all declared `services`, as they run with `settings`.

    `absence` is the longest absence to expect, in seconds.
    """

    connection: Connection
    services: Mapping[str, Service]
    only: Collection[str]
    settings: Settings
    absence: float | None


async def gather(consumer: BatchConsumer, asked: AuditScope) -> System:
    """Collect all facts. `consumer` has to be started. Raises KafkaError."""
    only, directory = asked.only, asked.settings.directory
    replies = ask_all(local_workers(directory), "/services")
    async with Cluster(asked.connection) as cluster:
        # Topics come last, so that no committed offset is beyond an end that was read before it.
        chosen = [await as_run(cluster, asked.services[name]) for name in only]
        own = await cluster.facts([_OFFSETS, _TRANSACTIONS])
        groups = {name: await _group(cluster, name) for name in only} if _OFFSETS in own else {}
        claimed = {name: claim.service for name, claim in (await claims(cluster)).items()}
        found = await _topics(cluster, consumer, chosen)
        return System(
            asked.connection.bootstrap,
            chosen,
            asked.settings,
            found,
            await _brokers(cluster, own),
            groups,
            [_worker(reply) for reply in replies],
            [*_absences(directory, only, replies), *_expected(asked.absence)],
            {name: _remembered(directory, name) for name in only},
            {name: [Memo(path / _MEMO).placed for path in _stores(directory, name)] for name in only},
            {topic.name: owner_of(topic, list(asked.services.values())) for topic in topics(chosen)},
            claimed,
            await _refusals(cluster, chosen, {name: topic.facts for name, topic in found.items()}),
            time.time() * 1000,
            await _open_transactions(cluster, found),
            await _letters(asked, found),
        )


async def _topics(cluster: Cluster, consumer: BatchConsumer, services: Sequence[Service]) -> dict[str, TopicState]:
    names = {use.name for service in services for use in topics_of(service)} | {OWNERS}
    facts = await cluster.facts(names)
    copies = await cluster.copies(facts)
    settings = await cluster.topic_settings(facts)
    tps = [TopicPartition(name, at) for name, topic in facts.items() for at in range(topic.partitions)]
    led = [tp for tp in tps if tp.partition not in copies[tp.topic].leaderless]
    begins, ends = await consumer.beginning_offsets(led), await consumer.end_offsets(led)
    return {
        name: TopicState(
            name,
            topic.topic_id,
            settings[name],
            copies[name].replicas,
            {tp.partition: begins.get(tp, 0) for tp in tps if tp.topic == name},
            {tp.partition: ends.get(tp, 0) for tp in tps if tp.topic == name},
            copies[name].leaderless,
        )
        for name, topic in facts.items()
    }


async def _letters(asked: AuditScope, topics: Mapping[str, TopicState]) -> dict[str, Tally]:
    """Count unsettled dead letters, of topics that can be read completely."""
    found = {}
    for service in asked.only:
        topic = topics.get(dead_letters_name(service))
        if topic is not None and not topic.leaderless:
            found[service] = await tally_letters(asked.connection, service)
    return found


async def _refusals(
    cluster: Cluster, services: Sequence[Service], facts: Mapping[str, TopicFacts]
) -> dict[str, Problem]:
    """Return why the broker would refuse to create topics that workers create at their start."""
    missing = [use for service in services for use in topics_of(service, facts) if use.owned and use.name not in facts]
    return {each.topic: each.problem for each in await cluster.refusals(missing)}


async def _open_transactions(
    cluster: Cluster, topics: Mapping[str, TopicState]
) -> Mapping[TopicPartition, OpenTransaction]:
    led = {TopicPartition(each.name, at) for each in topics.values() for at in each.ends if at not in each.leaderless}
    # Brokers before 3.0 do not report them, nor do others to a client without the right to read.
    with contextlib.suppress(IncompatibleBrokerVersion, TopicAuthorizationFailedError):
        return await cluster.open_transactions(led)
    return {}


async def _brokers(cluster: Cluster, own: Mapping[str, TopicFacts]) -> Brokers:
    brokers = Brokers(cluster.brokers_up(), await cluster.broker_settings())
    if _TRANSACTIONS not in own:
        return brokers
    replicas = (await cluster.copies([_TRANSACTIONS]))[_TRANSACTIONS].replicas
    settings = (await cluster.topic_settings([_TRANSACTIONS]))[_TRANSACTIONS]
    return brokers._replace(
        transaction_replicas=replicas, transaction_in_sync=int(settings.get("min.insync.replicas", 1))
    )


async def _group(cluster: Cluster, name: str) -> GroupFacts:
    members = await cluster.service_group(name)
    return GroupFacts(members.workers, await cluster.committed(name), members.foreign)


def _worker(reply: Reply) -> WorkerState:
    return WorkerState(reply.worker.service, reply.worker.worker, reply.body if reply.status else None)


def _expected(seconds: float | None) -> Iterator[Absence]:
    if seconds is not None:
        yield Absence("the longest expected absence (--absence)", seconds, expected=True)


def _absences(directory: Path, services: Collection[str], replies: Sequence[Reply]) -> Iterator[Absence]:
    """Yield the ages of running workers' copies, and the times since stopped workers last wrote theirs."""
    running: defaultdict[str, set[str]] = defaultdict(set)
    for reply in replies:
        running[reply.worker.service].add(reply.worker.worker)
        ages = [
            each["freshness_s"]
            for table in reply.body.get("tables", ())
            for each in table["partitions"]
            if each["freshness_s"] is not None
        ]
        if ages and reply.worker.service in services:
            yield Absence(f"worker {reply.worker.worker} of {reply.worker.service}, which is running", max(ages))
    for service in services:
        for path in _stores(directory, service):
            if path.name not in running[service] and (written := _written(path)):
                away = max(0.0, time.time() - written)
                yield Absence(f"worker {path.name} of {service}, which is stopped (its store is {path})", away)


def _written(path: Path) -> float:
    """Return when anything below a directory was last written, in s since 1970; 0 if it is empty."""
    latest = 0.0
    for file in path.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # a file of a worker that is starting
            latest = max(latest, file.stat().st_mtime)
    return latest


def _stores(directory: Path, service: str) -> list[Path]:
    return sorted(path for path in (directory / "tables" / service).glob("*") if path.is_dir())


def _remembered(directory: Path, service: str) -> dict[str, str]:
    """Return the inputs that any worker on this machine has committed, with their topic ids."""
    found: dict[str, str] = {}
    for path in _stores(directory, service):
        found |= Memo(path / _MEMO).committed
    return found
