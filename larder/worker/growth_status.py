"""How far the growth of a service has come, as plain values for pages, commands and metrics. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from aiokafka.structs import TopicPartition

from larder.assembly.plan import GrowthPlan
from larder.declaring.growth import GrowthPhase, GrowthState
from larder.kafka.committed import OffsetOrigin
from larder.operators.copying import Cursor


class CopyOffsets(NamedTuple):
    """A partition that is copied: the offset from which it is copied, the next one to copy, the end of all records."""

    begin: int
    position: int
    end: int


class CopyProgress(NamedTuple):
    """How many offsets are copied, of how many, and the seconds that the rest takes; None while that is unknown."""

    copied: int
    to_copy: int
    expected: float | None


def copy_offsets(
    plan: GrowthPlan,
    cursors: Mapping[TopicPartition, Cursor],
    origins: Mapping[TopicPartition, OffsetOrigin],
    positions: Mapping[TopicPartition, int],
    *ends: Mapping[TopicPartition, int],
) -> Mapping[TopicPartition, CopyOffsets]:
    """Return the offsets of the partitions that this worker copies; of several ends, the highest one counts.

    What the service has processed of an input is not copied.
    """
    found: dict[TopicPartition, CopyOffsets] = {}
    for tp, cursor in cursors.items():
        before = origins[tp].before if plan.copies[tp.topic].copy.kind == "rest" else None
        begin = cursor.begin if before is None else before
        position = max(begin, positions.get(tp, begin))
        found[tp] = CopyOffsets(begin, position, max(position, *(each.get(tp, 0) for each in ends)))
    return found


def copy_progress(offsets: Mapping[TopicPartition, CopyOffsets], elapsed: float) -> CopyProgress:
    """Add up the partitions that this worker copies; `elapsed` is how many seconds the workers have copied."""
    copied = sum(each.position - each.begin for each in offsets.values())
    to_copy = sum(each.end - each.begin for each in offsets.values())
    if copied == to_copy:
        return CopyProgress(copied, to_copy, 0.0)
    measured = copied > 0 and elapsed > 0
    return CopyProgress(copied, to_copy, (to_copy - copied) * elapsed / copied if measured else None)


def growth_status(
    state: GrowthState, plan: GrowthPlan | None, offsets: Mapping[TopicPartition, CopyOffsets], now: float
) -> dict[str, Any] | None:
    """Return where a growth stands, and how far this worker has copied; None if the service has never been scaled.

    `plan` is that of a worker that is being scaled.
    """
    growth = state.growth
    if growth is None:
        return None
    copying = growth.phase is GrowthPhase.COPYING and plan is not None and plan.number == growth.generation.number
    progress = copy_progress(offsets, now - growth.began) if copying else None
    return {
        **growth.status(),
        "copied": None if progress is None else progress.copied,
        "to_copy": None if progress is None else progress.to_copy,
        "expected_s": None if progress is None else progress.expected,
    }
