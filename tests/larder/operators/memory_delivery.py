"""A delivery that ends in memory: what was emitted is pending until it is settled, or partly lost by a crash.

Stands where `larder.delivery.delivery.Delivery` stands in a worker, for tests of what is decided, not of how it
is sent (that is tested against a broker). Each partition is a log of its own: after a crash it has any number of
the first records that were pending for it, whatever other partitions have.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

from aiokafka.structs import TopicPartition

from larder.delivery.delivery import Delivery
from larder.delivery.output import NO_HEADERS, Headers, Output
from larder.kafka.partitioner import partitions_of


class Sent(NamedTuple):
    """A record of a log; `offset` is its place."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


@dataclass
class OpenUnit:
    """What follows on it, and where its last records lie, once it is settled."""

    afterwards: list[Callable[[], None]] = field(default_factory=list)
    ends: dict[TopicPartition, int] = field(default_factory=dict)

    def end(self, topic: str, partition: int) -> int | None:
        return self.ends.get(TopicPartition(topic, partition))


class MemoryDelivery:
    """`logs` has what is durable; `committed` the input offsets. `exactly_once`: all of a unit is, or nothing."""

    def __init__(self, *, exactly_once: bool = False) -> None:
        self._exactly_once = exactly_once
        self.logs: defaultdict[TopicPartition, list[Sent]] = defaultdict(list)
        self.committed: dict[TopicPartition, int] = {}
        self._pending: defaultdict[TopicPartition, list[tuple[Any, ...]]] = defaultdict(list)
        self._offsets: dict[TopicPartition, int] = {}
        self.unit = OpenUnit()

    def as_delivery(self) -> Delivery:
        return cast("Delivery", self)

    def emit(
        self, output: Output, partition: int, key: bytes | None, value: bytes | None, timestamp: int,
        headers: Sequence[tuple[str, bytes | None]] = (),
    ) -> None:  # fmt: skip
        self._pending[TopicPartition(output.topic, partition)].append((timestamp, key, value, headers))

    def emit_many(
        self, output: Output, keys: Sequence[bytes | None], values: Sequence[bytes | None],
        timestamps: Sequence[int], by: Sequence[bytes], headers: Sequence[Headers] | None = None,
    ) -> None:  # fmt: skip
        places = partitions_of(by, output.partitions)
        columns = zip(keys, values, timestamps, places, headers or [()] * len(keys), strict=True)
        for key, value, timestamp, partition, each in columns:
            self.emit(output, partition, key, value, timestamp, each)

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

    def settle(self, *, told: bool = True) -> None:
        """All that is pending is durable, then the offsets are committed, then what follows is done.

        `told`: the broker says where it lies, and not only that it is there already.
        """
        for tp, records in self._pending.items():
            self.come(tp, records)
            if told:
                self.unit.ends[tp] = len(self.logs[tp])
        self._pending.clear()
        self.committed |= self._offsets
        self._offsets.clear()
        unit, self.unit = self.unit, OpenUnit()
        for follow in unit.afterwards:
            follow()

    def finish(self) -> None:
        """Settle until there is nothing left."""
        self.settle()
        while self.pending or self.unit.afterwards:
            self.settle()

    def crash(self, durable: Callable[[int], int]) -> Mapping[TopicPartition, Sequence[tuple[Any, ...]]]:
        """Only the first `durable(n)` of the n pending records of each partition arrive; nothing is committed.

        Answers the others: at least once, they may `come` yet.
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
        """Records arrive at the end of a log."""
        log = self.logs[tp]
        log += [Sent(len(log) + place, *record) for place, record in enumerate(records)]
