"""Why records were not joined: counts of each join by partition, and the newest records that lacked a row. Pure.

Turns the engine's counts into plain values: keys as people write them, and coordinates, which also name a dead letter.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import chain
from typing import TYPE_CHECKING, Any

from aiokafka.structs import TopicPartition

from larder.counters.join_quality import QualityOfJoin
from larder.declaring.coordinates import Coordinates
from larder.declaring.facts import input_name
from larder.declaring.sources import events_of
from larder.observability.sums import summed
from larder.queries.key_texts import key_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from larder.counters.counts import Counts
    from larder.counters.join_quality import JoinQuality, Sample
    from larder.declaring.joins import Join
    from larder.declaring.service import Service


def quality(service: Service, counts: Counts, waiting: Mapping[tuple[str, int], int]) -> dict[str, Any]:
    """Return each join with its partitions, including those that this worker had before, as `GET /joins` answers."""
    return {"joins": [_join(service, join, counts, waiting) for join in service.joins]}


def of_all(answers: Mapping[str, Sequence[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Add up the joins of several workers; each partition names the worker that counted it.

    `answers` has them by worker. A partition appears once for each worker that had it.
    """
    partitions: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for worker, joins in answers.items():
        for join in joins:
            partitions[join["join"]] += [{**each, "worker": worker} for each in join["partitions"]]
    return [
        {**join, "partitions": sorted(partitions[join["join"]], key=lambda each: (each["partition"], each["worker"]))}
        for join in summed(chain.from_iterable(answers.values()), "join")
    ]


def _join(service: Service, join: Join, counts: Counts, waiting: Mapping[tuple[str, int], int]) -> dict[str, Any]:
    known = counts.of(join, QualityOfJoin)
    topic = input_name(service, join.source)
    return {
        "join": join.name,
        "into": join.into.name,
        "source": join.source.name,
        "input": topic,
        **known.total().as_dict(),
        "waiting": sum(count for (name, _), count in waiting.items() if name == join.name),
        "partitions": [
            {
                "partition": partition,
                **each.counts.as_dict(),
                "waiting": waiting.get((join.name, partition), 0),
                "samples": _samples(join, TopicPartition(topic, partition), each),
            }
            for partition, each in sorted(known.partitions.items())
        ],
    }


def _samples(join: Join, tp: TopicPartition, quality: JoinQuality) -> dict[str, list[dict[str, Any]]]:
    return {
        "missing": _newest(join, tp, quality.missing),
        "expired": _newest(join, tp, quality.expired),
        "parked": _newest(join, tp, quality.parked),
    }


def _newest(join: Join, tp: TopicPartition, samples: Iterable[Sample]) -> list[dict[str, Any]]:
    """Return the newest samples first; a record that was read again after a rewind appears once."""
    by_offset = {sample.offset: sample for sample in samples}
    return [_sample(join, tp, sample) for sample in sorted(by_offset.values(), reverse=True)]


def _sample(join: Join, tp: TopicPartition, sample: Sample) -> dict[str, Any]:
    lookup = None if sample.lookup is None else join.lookups[sample.lookup]
    found = {
        "id": str(Coordinates(tp.topic, tp.partition, sample.offset)),
        "at": sample.at,
        "key": None if sample.key is None else key_text(events_of(join.source), sample.key),
        "field": None if lookup is None else lookup.field,
        "reference": None
        if lookup is None or sample.reference is None
        else key_text(lookup.table.topic, sample.reference),
        "table": None if lookup is None else lookup.table.name,
    }
    return found if sample.cause is None else {**found, "cause": sample.cause}
