"""The inputs of a service today, by step: a service that was scaled reads other topics than its letters name. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from larder.declaring.facts import input_name, replays_name
from larder.declaring.operators import Role
from larder.declaring.records import PlainRecord
from larder.declaring.topics import Rekeyed
from larder.kafka.partitioner import partition_of
from larder.operators.partition_keys import key_of

if TYPE_CHECKING:
    from larder.dead_letters.letters import Letter
    from larder.declaring.service import Service
    from larder.declaring.sources import Source

PartitionOf = Callable[["Letter", int], int]
"""Returns the partition of a complete letter's record, of so many."""


class Place(NamedTuple):
    """The input that has the step of a letter today, and the partition of its record there: None if it is the same."""

    topic: str
    partition_of: PartitionOf | None = None


class Inputs:
    """The inputs of a service, with their steps."""

    def __init__(self, run: Service) -> None:
        """Take a service as its workers run it."""
        self._service = run.name
        self._sources = [(step, input_name(run, source), source) for step, source in _steps(run)]

    def of(self, letter: Letter) -> Place | None:
        """Return where the step of a letter is today; None if no input that had the record has it."""
        having = [(topic, source) for step, topic, source in self._sources if step == letter.step]
        if any(topic == letter.id.topic for topic, _ in having):
            return Place(letter.id.topic)
        for topic, source in having:
            if isinstance(source, Rekeyed) and letter.id.topic in source.former_inputs(self._service):
                return Place(topic, _by_key(source))
        return None

    def forsaken(self, topic: str) -> bool:
        """Return whether a topic is one of the service's own that only its workers of an earlier generation read."""
        own = (
            name
            for _, _, source in self._sources
            if isinstance(source, Rekeyed)
            for name in source.former_inputs(self._service) - {source.source.name}
        )
        return any(topic in {name, replays_name(self._service, name)} for name in own)


def _steps(run: Service) -> Iterator[tuple[str, Source]]:
    for operator in run.operators:
        if operator.reads_as is Role.SOURCE:
            yield from ((operator.step, source) for source in operator.reads())
    yield from ((rekeyed.step, rekeyed.source) for rekeyed in run.rekeyed)


def _by_key(source: Rekeyed) -> PartitionOf:
    """Partition records as the workers do that copy them."""
    read = key_of(source)

    def partition(letter: Letter, count: int) -> int:
        key = read(PlainRecord(letter.id.offset, letter.timestamp, letter.key, letter.value, letter.headers))
        # No partition has the rows of a record without a key: its step can handle it in any.
        return letter.id.partition % count if key is None else partition_of(key, count)

    return partition
