"""A delivery in memory: emitted records are pending until they are settled, or partly lost in a crash.

It replaces `larder.delivery.delivery.Delivery` in tests of decisions. Sending itself is tested against a broker. Each
partition is a log of its own. After a crash it has any number of its first pending records, independently of the other
partitions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

from aiokafka.structs import TopicPartition

from larder.counters.left_out_headers import LeftOutHeaders
from larder.delivery.delivery import Delivery
from larder.delivery.output import NO_HEADERS, Headers, Output
from larder.kafka.partitioner import partitions_of


class Sent(NamedTuple):
    """A record of a log; `offset` is its position."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


@dataclass
class OpenUnit:
    """The calls to make after a unit is settled, and the ends of its last records."""

    afterwards: list[Callable[[], None]] = field(default_factory=list)
    ends: dict[TopicPartition, int] = field(default_factory=dict)
    awaited: bool = False

    def end(self, topic: str, partition: int) -> int | None:
        return self.ends.get(TopicPartition(topic, partition))


class MemoryDelivery:
    """`logs` has the durable records, `committed` the input offsets. `exactly_once`: units are atomic."""

    def __init__(self, *, exactly_once: bool = False) -> None:
        self._exactly_once = exactly_once
        self.logs: defaultdict[TopicPartition, list[Sent]] = defaultdict(list)
        self.committed: dict[TopicPartition, int] = {}
        self._pending: defaultdict[TopicPartition, list[tuple[Any, ...]]] = defaultdict(list)
        self._offsets: dict[TopicPartition, int] = {}
        self.unit = OpenUnit()
        self.left_out = LeftOutHeaders()

    def as_delivery(self) -> Delivery:
        return cast("Delivery", self)

    def emit(
        self, output: Output, partition: int, key: bytes | None, value: bytes | None, timestamp: int,
        headers: Sequence[tuple[str, bytes | None]] = (), carried: Headers = NO_HEADERS,
    ) -> None:  # fmt: skip
        self._pending[TopicPartition(output.topic, partition)].append((timestamp, key, value, [*headers, *carried]))

    def emit_many(
        self, output: Output, keys: Sequence[bytes | None], values: Sequence[bytes | None],
        timestamps: Sequence[int], by: Sequence[bytes], headers: Sequence[Headers] | None = None,
        carried: Sequence[Headers] | None = None,
    ) -> None:  # fmt: skip
        places, none = partitions_of(by, output.partitions), [NO_HEADERS] * len(keys)
        columns = zip(keys, values, timestamps, places, headers or none, carried or none, strict=True)
        for key, value, timestamp, partition, own, along in columns:
            self.emit(output, partition, key, value, timestamp, own, along)

    def takes_all(
        self, output: Output, keys: Sequence[bytes | None], values: Sequence[bytes | None],
        headers: Sequence[Headers] | None = None,
    ) -> bool:  # fmt: skip
        return all(map(output.takes, keys, values, headers or [[]] * len(keys)))

    def check(
        self, output: Output, key: bytes | None, value: bytes | None, timestamp: int, headers: Headers = NO_HEADERS,  # noqa: ARG002
    ) -> None:  # fmt: skip
        if not output.takes(key, value, headers):
            raise ValueError(output.refusal(key, value, headers))

    def done(self, tp: TopicPartition, position: int) -> None:
        self._offsets[tp] = position

    def touch(self, tp: TopicPartition) -> None:
        self._offsets.setdefault(tp, self.committed.get(tp, 0))

    def with_outputs(self, follow: Callable[[], None]) -> None:
        if self._exactly_once:
            follow()
        else:
            self.unit.afterwards.append(follow)

    @property
    def pending(self) -> Mapping[TopicPartition, Sequence[Any]]:
        return {tp: records for tp, records in self._pending.items() if records}

    def settle(self, *, known: bool = True) -> None:
        """Make all pending records durable, then commit the offsets, then make the calls that follow.

        `known`: the broker reports the offsets, and not only that it already has the records.
        """
        for tp, records in self._pending.items():
            self.come(tp, records)
            if known:
                self.unit.ends[tp] = len(self.logs[tp])
        self._pending.clear()
        self.committed |= self._offsets
        self._offsets.clear()
        unit, self.unit = self.unit, OpenUnit()
        for follow in unit.afterwards:
            follow()

    def finish(self) -> None:
        """Settle until nothing is left."""
        self.settle()
        while self.pending or self.unit.afterwards:
            self.settle()

    def crash(self, durable: Callable[[int], int]) -> Mapping[TopicPartition, Sequence[tuple[Any, ...]]]:
        """Keep only the first `durable(n)` of the n pending records of each partition, and commit nothing.

        Return the others: with at least once, they may still `come`.
        """
        lost = {}
        for tp, records in () if self._exactly_once else self.pending.items():
            count = durable(len(records))
            self.come(tp, records[:count])
            lost[tp] = records[count:]
        self._pending.clear()
        self._offsets.clear()
        self.unit = OpenUnit()
        return lost

    def come(self, tp: TopicPartition, records: Sequence[tuple[Any, ...]]) -> None:
        """Append records to the end of their logs."""
        log = self.logs[tp]
        log += [Sent(len(log) + place, *record) for place, record in enumerate(records)]
