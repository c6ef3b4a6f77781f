"""Records that are not in the partition of their key, and the partitioner that placed them. Pure.

Sources: librdkafka's `rd_crc32` (the CRC-32 of zlib) and `rd_fnv1a` (with the absolute value, as Sarama has it);
Java's murmur2 is in `larder.kafka.partitioner`.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final, NamedTuple

from larder.declaring.plurals import counted, plural
from larder.doctor.findings import Finding, Met
from larder.kafka.partitioner import partition_of, partitions_of
from larder.observability.conditions import Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from larder.doctor.records import SeenRecord

AUDIT = "placement"

MOST_KEYS: Final = 2_000
"""How many misplaced keys to try other partitioners on: none fits as many by chance."""

CHANCE: Final = 0.01
"""Name a partitioner only if the probability that it fits by chance is less than this."""

_FNV_BASIS, _FNV_PRIME = 0x811C9DC5, 0x01000193


class Partitioner(NamedTuple):
    """How another client places keys. `place` takes a key and the number of partitions; `fix` is what to set there."""

    name: str
    place: Callable[[bytes, int], int]
    fix: str


def crc32(key: bytes, count: int) -> int:
    """Place a key as librdkafka does by default."""
    return zlib.crc32(key) % count


def fnv1a(key: bytes, count: int) -> int:
    """Place a key as Sarama and kafka-go do by default."""
    value = _FNV_BASIS
    for byte in key:
        value = ((value ^ byte) * _FNV_PRIME) & 0xFFFFFFFF
    return (value if value < 2**31 else 2**32 - value) % count


PARTITIONERS: Final = (
    Partitioner(
        "CRC32 (the default of librdkafka: confluent-kafka for Python, Go, .NET, PHP, node-rdkafka)",
        crc32,
        "set partitioner=murmur2_random in the configuration of the producer (librdkafka)",
    ),
    Partitioner(
        "FNV-1a (Sarama, the hash balancer of kafka-go, fnv1a of librdkafka)",
        fnv1a,
        "give the producer a partitioner with Java's murmur2 (librdkafka: partitioner=murmur2_random; kafka-go:"
        " kafka.Murmur2Balancer; Sarama: one of your own)",
    ),
)


class KeyPlacement:
    """The partitions of the keys of one topic. `by_partition`: an operator reads it by partition."""

    def __init__(self, topic: str, count: int, *, by_partition: bool) -> None:
        """Start without records; `count` is the topic's number of partitions."""
        self._topic = topic
        self._count = count
        self._by_partition = by_partition
        self._keyed = 0
        self._met = Met()
        self._misplaced: dict[bytes, int] = {}
        self.one_form: Callable[[bytes], bytes] | None = None
        """Converts a key to the form in which it is looked up; None if keys have only one form."""

    def take(self, seen: Sequence[SeenRecord]) -> None:
        """Examine more records."""
        keyed = [(each, each.record.key) for each in seen if each.record.key is not None]
        self._keyed += len(keyed)
        wanted = [self._looked_up(key) for _, key in keyed]
        for (each, key), place in zip(keyed, partitions_of(wanted, self._count), strict=True):
            if place != each.place.partition:
                self._met.add(each.place)
                if len(self._misplaced) < MOST_KEYS:
                    self._misplaced[key] = each.place.partition

    def findings(self) -> Iterator[Finding]:
        """Yield the findings so far."""
        if not self._met.count:
            return
        likely, fix = self._likely()
        needed = "joins by partition reject these rows, or look for their partners in the wrong partition"
        unneeded = (
            "nothing is joined by partition here; but another client, or a later join, looks for these keys in other"
            " partitions, and a key that is in two partitions has no order"
        )
        again = f"then have the owner of {self._topic} publish all rows again, and delete the misplaced copies"
        declare = "or, if its rows are only looked up, hold the whole table: SERVICE.global_table(...)"
        yield Finding(
            Severity.ERROR if self._by_partition else Severity.HINT,
            AUDIT,
            f"topic {self._topic}",
            f"{self._met.count:,} of {counted(self._keyed, 'record')} {plural(self._met.count, 'is', 'are')} in"
            f" another of {counted(self._count, 'partition')} than the one"
            f" that Java's default partitioner (murmur2) has for their key; {likely}",
            needed if self._by_partition else unneeded,
            (fix, again, declare),
            tuple(self._met.samples),
        )

    def _looked_up(self, key: bytes) -> bytes:
        return self.one_form(key) if self._by_partition and self.one_form is not None else key

    def _likely(self) -> tuple[str, str]:
        """Name the partitioner that fits all of them, if that is unlikely to be chance."""
        keys = self._misplaced.items()
        usual = "have the producer place keys as Java's default partitioner does, and name no partition itself"
        if all(partition_of(key, self._count) == partition for key, partition in keys):
            return (
                "all of them fit their keys as they are written, in capitals or in braces",
                "have the producer write UUIDs in lower case without braces: this is how rows are looked up",
            )
        if self._count ** -len(keys) < CHANCE:
            for known in PARTITIONERS:
                if all(known.place(key, self._count) == partition for key, partition in keys):
                    return f"all of them fit {known.name}", known.fix
            for count in range(1, self._count):
                if all(partition_of(key, count) == partition for key, partition in keys):
                    fewer = counted(count, "partition")
                    return (
                        f"all of them are where a topic with {fewer} would have them: partitions were added since",
                        usual,
                    )
        return "they fit no known partitioner", usual
