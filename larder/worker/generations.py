"""What a service writes down about its own topics: its generations, and how complete its mirrors are.

Each record of a generation has a key of its own, so that compaction keeps all of them, in their order. Two workers that
start at the same time may both write: the first record that names a topic decides.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from uuid import uuid4

from aiokafka.structs import TopicPartition

from larder.config.connection import Connection
from larder.declaring.facts import TopicFacts, growth_name
from larder.declaring.generations import completed, placed, unheeded
from larder.declaring.problems import DeclarationError
from larder.declaring.service import Service
from larder.declaring.topology import topics_of
from larder.kafka.admin import Cluster
from larder.kafka.readers import reader, spans
from larder.worker.builds import MirrorTime, lacking, late_mirrors, mirrored, rows_elsewhere
from larder.worker.growth_log import GrowthRecords, read_growth, write_growth
from larder.worker.topic_ownership import REQUEST_TIMEOUT_MS

log = logging.getLogger("larder")


async def settled(cluster: Cluster, service: Service, facts: Mapping[str, TopicFacts]) -> GrowthRecords:
    """Return the records of a service, with its generation; write down what is new. All declared topics exist.

    Raise DeclarationError if topics with different numbers meet, and KafkaError.
    """
    topic = growth_name(service.name)
    if topic not in facts:
        return GrowthRecords(completed(service, facts))
    found = await read_growth(cluster.connection, service.name)
    known = found.generation
    history = {} if known else await _history(cluster, service)
    wanted = completed(service, facts, known, history)
    if known is None or wanted.counts.keys() - known.counts.keys():
        key = f"{wanted.number} {uuid4().hex}".encode()
        await write_growth(cluster.connection, service.name, [(key, wanted.encode())])
        found = await read_growth(cluster.connection, service.name)
    generation = completed(service, facts, found.generation)
    for problem in unheeded(service, generation):
        log.warning("%s", problem)
    return found._replace(generation=generation)


async def require_complete_mirrors(
    cluster: Cluster, service: Service, facts: Mapping[str, TopicFacts], clock: Callable[[], float]
) -> None:
    """Write down when each new mirror begins; raise DeclarationError if one may lack rows, or have missed deletions.

    A mirror is whole only if the group begins with the first record of the source. A worker writes down that a mirror
    begins before it commits any offset. So look at the offsets first.
    """
    mirrors = mirrored(service)
    if not mirrors:
        return
    passed = await _passed(cluster, service.name, list(mirrors))
    ids = {source: facts[mirror].topic_id for source, mirror in mirrors.items()}
    begun = _begun_with(service, mirrors)
    passed -= begun.keys()
    written = (await read_growth(cluster.connection, service.name)).mirrored
    times = begun | {each.source: each.at for each in written if ids.get(each.source) == each.topic_id}
    now, new = clock(), [source for source in mirrors if source not in times]
    problems = [lacking(service.name, source, mirrors[source]) for source in new if source in passed]
    problems += late_mirrors(service, facts, times, now)
    if problems:
        raise DeclarationError(problems)
    await note_mirrored(cluster.connection, service.name, [MirrorTime(source, ids[source], now) for source in new])


def _begun_with(service: Service, mirrors: Mapping[str, str]) -> dict[str, float]:
    """Return when the generation began that fills or has copied a mirror, by source."""
    generation = service.generation
    if generation is None:
        return {}
    complete = {source for source, name in mirrors.items() if source in generation.filled or name in generation.heads}
    return dict.fromkeys(complete, generation.at)


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
    await write_growth(connection, service, [(each.key(), each.encode()) for each in times])


async def as_run(cluster: Cluster, service: Service) -> Service:
    """Return a service as its workers run it, or would run it if they started now; raise KafkaError."""
    facts = await cluster.facts([use.name for use in topics_of(service)])
    topic = growth_name(service.name)
    known = (await read_growth(cluster.connection, service.name)).generation if topic in facts else None
    history = {} if known else await _history(cluster, service)
    return placed(service, completed(service, facts, known, history))


async def _history(cluster: Cluster, service: Service) -> Mapping[str, int]:
    """Return the partition counts with which the group committed offsets, by topic."""
    committed = await cluster.committed(service.name)
    return {tp.topic: each.placed_by for tp, each in committed.items() if each.placed_by}
