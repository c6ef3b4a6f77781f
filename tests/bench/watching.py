"""Measures the steady rate of a contestant by the growth of its output topic.

Does not trust what a contestant reports about its own speed. Does not know what the records mean.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import TYPE_CHECKING, NamedTuple

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from tests.bench.loading import PARTITIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.bench.process import Process

# Between two samples: 1 to 2 % of the shortest measured interval. A sample costs the broker 0.1 ms.
STEP_SECONDS = 0.05
# A JVM, a consumer group and a table of 100,000 rows are ready in less than 10 s even on a busy machine.
START_SECONDS = 90.0
# Less than any limit on a run: a contestant that stalls must not pass for one that ran out of time.
STILL_SECONDS = 5.0
# Everything before is the warm-up: a JVM compiles its hot path during the first 400,000 orders, and caches fill. At the
# end some partitions are read before the others, and the last batches are not full.
FROM, TO = 0.4, 0.95


class Sample(NamedTuple):
    """One sample: seconds of the monotonic clock, committed records in the topic, CPU seconds of the process."""

    at: float
    records: float
    cpu: float


class Steady(NamedTuple):
    """The rate between two points of a run. `cores` is the number of cores that the process used."""

    per_s: float
    per_cpu_s: float
    seconds: float

    @property
    def cores(self) -> float:
        """CPU seconds per second."""
        return self.per_s / self.per_cpu_s


async def watch(
    brokers: str, topic: str, process: Process, wanted: int, seconds: float, since: int = 0
) -> list[Sample]:  # fmt: skip
    """Sample `topic` until it has `wanted` records, or until `seconds` after its first.

    It counts from `since`, the records of an earlier run. Raise `ContestantError` if the process ends, starts too
    slowly, or stalls.
    """
    looking = AIOKafkaConsumer(bootstrap_servers=brokers, isolation_level="read_committed")
    await looking.start()
    try:
        partitions = [TopicPartition(topic, each) for each in range(PARTITIONS)]
        return await _samples(looking, partitions, process, wanted, seconds, since)
    finally:
        await looking.stop()


async def _samples(
    looking: AIOKafkaConsumer, partitions: list[TopicPartition], process: Process, wanted: int, seconds: float,
    since: int,
) -> list[Sample]:  # fmt: skip
    samples: list[Sample] = []
    first = moved = time.monotonic()
    while True:
        ends = await looking.end_offsets(partitions)
        sample = Sample(time.monotonic(), sum(ends.values()) - since, process.cpu_seconds())
        process.require_running()
        last = samples[-1].records if samples else 0
        if sample.records > last:
            first = first if last else sample.at
            moved = sample.at
        elif sample.at - moved > (STILL_SECONDS if last else START_SECONDS):
            process.fail(f"stalls at {last:.0f} of {wanted} records of {partitions[0].topic}")
        samples.append(sample)
        if sample.records >= wanted or (sample.records and sample.at - first > seconds):
            return samples
        await asyncio.sleep(STEP_SECONDS)


def steady(samples: Sequence[Sample], start: float = FROM, end: float = TO) -> Steady:
    """Return the rate between two shares of the last count, interpolated between samples."""
    total = samples[-1].records
    begin, finish = _at(samples, start * total), _at(samples, end * total)
    seconds, cpu = finish.at - begin.at, finish.cpu - begin.cpu
    count = finish.records - begin.records
    return Steady(count / seconds, count / max(cpu, 0.01), seconds)


def records_at(samples: Sequence[Sample], at: float) -> float:
    """Return the number of records at a time, interpolated between samples."""
    for before, after in itertools.pairwise(samples):
        if before.at <= at <= after.at:
            share = (at - before.at) / (after.at - before.at)
            return before.records + share * (after.records - before.records)
    raise ValueError(at)


def _at(samples: Sequence[Sample], count: float) -> Sample:
    for before, after in itertools.pairwise(samples):
        if before.records < count <= after.records:
            share = (count - before.records) / (after.records - before.records)
            return Sample(
                before.at + share * (after.at - before.at), count, before.cpu + share * (after.cpu - before.cpu)
            )
    raise ValueError(count)
