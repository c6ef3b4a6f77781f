"""What a service writes down about its own topics: its generations, and how complete its mirrors are.

Each record of a generation has a key of its own, so that compaction keeps all of them, in their order. Two workers that
start at the same time may both write: the first record that names a topic decides.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple
from uuid import uuid4

from aiokafka.structs import TopicPartition

from larder.config.connection import Connection
from larder.declaring.facts import TopicFacts, growth_name
from larder.declaring.generations import Generation, completed, merged, placed, read_generation, unheeded
from larder.declaring.plurals import counted
from larder.declaring.problems import DeclarationError, Problem
from larder.declaring.service import Service
from larder.declaring.topics import mirror_name
from larder.declaring.topology import topics_of
from larder.kafka.admin import Cluster
from larder.kafka.publishers import publisher
from larder.kafka.readers import reader, spans, whole
from larder.worker.builds import MirrorTime, lacking, late_mirrors, mirrored, read_mirror_time, rows_elsewhere
from larder.worker.topic_ownership import REQUEST_TIMEOUT_MS

log = logging.getLogger("larder")


class GrowthRecords(NamedTuple):
    """What a service has written down: its generation, and when its mirrors had all deletions of their sources."""

    generation: Generation | None
    mirrored: Sequence[MirrorTime]


async def settled(cluster: Cluster, service: Service, facts: Mapping[str, TopicFacts]) -> Generation:
    """Return the generation of a service; write down what is new. All declared topics exist.

    Raise DeclarationError if topics with different numbers meet, and KafkaError.
    """
    topic = growth_name(service.name)
    if topic not in facts:
        return completed(service, facts)
    known = (await _read(cluster.connection, topic)).generation
    history = {} if known else await _history(cluster, service)
    wanted = completed(service, facts, known, history)
    if known is None or wanted.counts.keys() - known.counts.keys():
        key = f"{wanted.number} {uuid4().hex}".encode()
        await _write(cluster.connection, topic, [(key, wanted.encode())])
        known = (await _read(cluster.connection, topic)).generation
    generation = completed(service, facts, known)
    for problem in unheeded(service, generation):
        log.warning("%s", problem)
    return generation


async def require_complete_mirrors(
    cluster: Cluster, service: Service, facts: Mapping[str, TopicFacts], clock: Callable[[], float]
) -> None:
    """Write down when each new mirror begins; raise DeclarationError if one may lack rows, or have missed deletions.

    A mirror is whole only if the group begins with the first record of the source. A worker writes down that a mirror
    begins before it commits any offset. So look at the offsets first.
    """
    sources = mirrored(service)
    if not sources:
        return
    passed = await _passed(cluster, service.name, sources)
    ids = {source: facts[mirror_name(service.name, source)].topic_id for source in sources}
    written = (await _read(cluster.connection, growth_name(service.name))).mirrored
    times = {each.source: each.at for each in written if ids.get(each.source) == each.topic_id}
    now, new = clock(), [source for source in sources if source not in times]
    problems = [lacking(service.name, source) for source in new if source in passed]
    problems += late_mirrors(service.name, facts, times, now)
    if problems:
        raise DeclarationError(problems)
    await note_mirrored(cluster.connection, service.name, [MirrorTime(source, ids[source], now) for source in new])


async def _passed(cluster: Cluster, group: str, topics: Sequence[str]) -> set[str]:
    """Return the topics of which a group has committed more than the first offset that they still have."""
    committed = {tp: each.offset for tp, each in (await cluster.committed(group)).items() if tp.topic in topics}
    async with reader(cluster.connection, request_timeout_ms=REQUEST_TIMEOUT_MS) as consumer:
        logs = await spans(consumer, list(committed))
    return {tp.topic for tp, offset in committed.items() if offset > logs[tp].begin}


async def require_rows(cluster: Cluster, service: Service) -> None:
    """Raise DeclarationError if the rows of a state would have to be copied into a new topic: they are elsewhere."""
    states = {decide.state.name: decide.state for decide in service.decides if decide.state.build is not None}
    if not states:
        return
    facts = await cluster.facts([topic for use in states.values() for topic in (use.name, use.read_from.name)])
    new = [name for name, use in states.items() if use.read_from.name not in facts and name in facts]
    tps = [TopicPartition(name, number) for name in new for number in range(facts[name].partitions)]
    if not tps:
        return
    async with reader(cluster.connection, request_timeout_ms=REQUEST_TIMEOUT_MS) as consumer:
        filled = {tp.topic for tp, span in (await spans(consumer, tps)).items() if span.end > 0}
    if filled:
        raise DeclarationError(rows_elsewhere(service, states[name], facts[name].partitions) for name in sorted(filled))


async def note_mirrored(connection: Connection, service: str, times: Iterable[MirrorTime]) -> None:
    """Write down when mirrors had all deletions of their sources; raise KafkaError."""
    await _write(connection, growth_name(service), [(each.key(), each.encode()) for each in times])


async def as_run(cluster: Cluster, service: Service) -> Service:
    """Return a service as its workers run it, or would run it if they started now; raise KafkaError."""
    facts = await cluster.facts([use.name for use in topics_of(service)])
    topic = growth_name(service.name)
    known = (await _read(cluster.connection, topic)).generation if topic in facts else None
    history = {} if known else await _history(cluster, service)
    return placed(service, completed(service, facts, known, history))


async def _read(connection: Connection, topic: str) -> GrowthRecords:
    async with reader(connection, request_timeout_ms=REQUEST_TIMEOUT_MS) as consumer:
        values = [record.value or b"" for record in await whole(consumer, TopicPartition(topic, 0))]
    generations = [each for each in map(read_generation, values) if each is not None]
    times = [each for each in map(read_mirror_time, values) if each is not None]
    if foreign := len(values) - len(generations) - len(times):
        log.warning("%s", Problem(
            f"topic {topic}", "requires records of its service only", counted(foreign, "other record"),
            "they are ignored; let only Larder write there",
        ))  # fmt: skip
    return GrowthRecords(merged(generations), times)


async def _write(connection: Connection, topic: str, records: Sequence[tuple[bytes, bytes]]) -> None:
    if not records:
        return
    async with publisher(connection, request_timeout_ms=REQUEST_TIMEOUT_MS) as producer:
        for key, value in records:
            await (await producer.send(topic, value, key, partition=0))


async def _history(cluster: Cluster, service: Service) -> Mapping[str, int]:
    """Return the partition counts with which the group committed offsets, by topic."""
    committed = await cluster.committed(service.name)
    return {tp.topic: each.placed_by for tp, each in committed.items() if each.placed_by}
