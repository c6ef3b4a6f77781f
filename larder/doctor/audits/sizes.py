"""Whether records are too large for the topics that they go into. Pure."""

from __future__ import annotations

from heapq import nlargest
from typing import TYPE_CHECKING

from larder.declaring.facts import input_name
from larder.declaring.operators import Passage
from larder.declaring.plurals import counted
from larder.declaring.topics import Rekeyed
from larder.delivery.output import RECORD_OVERHEAD
from larder.doctor.findings import MOST_SAMPLES, Finding, Met
from larder.doctor.mending import set_topic
from larder.observability.conditions import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from larder.declaring.coordinates import Coordinates
    from larder.declaring.service import Service
    from larder.doctor.facts import System
    from larder.doctor.records import SeenRecord

AUDIT = "sizes"


class RecordSizes:
    """The sizes of the records of one topic: the largest ones, and those above a limit.

    `limits`: the largest size of a record, in bytes, for each topic that it goes into.
    """

    def __init__(self, limits: Mapping[str, int]) -> None:
        """Start without records."""
        self._limits = limits
        self.above = {into: Met() for into in limits}
        self.largest: list[tuple[int, Coordinates]] = []

    def take(self, seen: Sequence[SeenRecord]) -> None:
        """Measure more records."""
        measured = [
            (len(each.record.key or b"") + len(each.record.value or b"") + RECORD_OVERHEAD, each.place) for each in seen
        ]
        self.largest = nlargest(MOST_SAMPLES, [*self.largest, *measured])
        for into, limit in self._limits.items():
            for size, place in measured:
                if size > limit:
                    self.above[into].add(place)

    @property
    def most(self) -> int:
        """The size of the largest record, in bytes."""
        return self.largest[0][0] if self.largest else 0

    def findings(self) -> Iterator[Finding]:
        """Return nothing: only the sizes of all topics together have a meaning (`sizes`)."""
        return iter(())


def passages(service: Service) -> Iterator[Passage]:
    """Yield the passages of a service: where it sends records whose size is known beforehand."""
    for operator in service.operators:
        yield from operator.passages(service.name)
    for source in dict.fromkeys(service.sources):
        if isinstance(source, Rekeyed):
            yield Passage(source.source.name, input_name(service, source))


def limits(system: System, topic: str) -> dict[str, int]:
    """Return the largest size of a record of `topic`, in bytes, for each topic that it goes into."""
    return {
        each.into: int(system.topics[each.into].facts.max_message_bytes / each.growth)
        for service in system.services
        for each in passages(service)
        if each.source == topic and each.into in system.topics
    }


def sizes(system: System, measured: Mapping[str, RecordSizes]) -> Iterator[Finding]:
    """Compare the sizes in each topic with the limits of the topics that its records go into."""
    for service in system.services:
        for passage in dict.fromkeys(passages(service)):
            if passage.source in measured and passage.into in system.topics:
                yield from _found(system, service.name, passage, measured)


def _again(system: System, service: str, passage: Passage) -> str:
    """Return how to send the records again. Rows are not replayed, since there may be newer ones."""
    if "compact" in system.topics[passage.source].facts.cleanup_policy:
        return f"then have the owner of {passage.source} publish these rows again"
    return f"then larder dead-letters replay {service} --cause max.message.bytes"


def _found(system: System, service: str, passage: Passage, measured: Mapping[str, RecordSizes]) -> Iterator[Finding]:
    limit = system.topics[passage.into].facts.max_message_bytes
    own = measured[passage.source]
    above = own.above.get(passage.into, Met())
    rows = sum(measured[name].most for name in passage.rows if name in measured)
    needed = int((own.most + rows) * passage.growth)
    fix = set_topic(system.bootstrap, passage.into, max_message_bytes=needed * 2)
    about = f"topic {passage.source}"
    if above.count:
        yield Finding(
            Severity.ERROR,
            AUDIT,
            about,
            f"{counted(above.count, 'record')} larger than {passage.into} takes (max.message.bytes={limit}); the"
            f" largest has {own.most:,} bytes",
            f"{service} sends them to its dead letters: they have no result",
            (fix, _again(system, service, passage)),
            tuple(above.samples),
        )
    elif needed > limit:
        yield Finding(
            Severity.WARNING,
            AUDIT,
            about,
            f"up to {own.most:,} bytes, and {rows:,} with the largest row of {' and of '.join(passage.rows)};"
            f" {passage.into} takes {limit:,} (max.message.bytes)",
            f"{service} sends a large record that meets a large row to its dead letters",
            (fix,),
            tuple(place for _, place in own.largest),
        )
