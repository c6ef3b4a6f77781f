"""Where a growth stands, and how far this worker has copied: from records and offsets, without a broker."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.structs import TopicPartition

from larder.assembly.plan import CopyPlan, GrowthPlan
from larder.declaring.generations import Generation
from larder.declaring.growth import Copy, Growth, GrowthPhase, GrowthState, Kind
from larder.delivery.output import Output
from larder.kafka.committed import OffsetOrigin
from larder.operators.copying import Cursor
from larder.worker.growth_status import CopyOffsets, copy_offsets, growth_status
from larder.worker.status import growth_of

NOW = 1_000.0
ROWS, REST = TopicPartition("shop.rows", 0), TopicPartition("shop.orders.by.customer", 1)


def state(phase: GrowthPhase = GrowthPhase.COPYING, **others: Any) -> GrowthState:
    new = Generation(2, {"orders": 6, "customers": 6}, {})
    return GrowthState(Growth("id", 1, phase, new, NOW - 30, NOW - 10, NOW + 500, **others))


def plan(number: int = 2) -> GrowthPlan:
    kinds: tuple[tuple[str, Kind], ...] = ((ROWS.topic, "rows"), (REST.topic, "rest"))
    copies = {name: CopyPlan(Copy(name, f"{name}.2", kind), Output(f"{name}.2", 6, 1 << 20)) for name, kind in kinds}
    return GrowthPlan(number, 6, copies, [])


def test_a_service_that_was_never_scaled_has_no_growth() -> None:
    assert growth_status(GrowthState(), None, {}, NOW) is None
    assert growth_of(None, NOW) is None
    membership: Any = SimpleNamespace(growth=None)
    assert growth_of(membership, NOW) is None


def test_a_growth_says_its_phase_its_partitions_and_its_times() -> None:
    assert growth_status(state(GrowthPhase.PAUSING), plan(), {}, NOW) == {
        "phase": "pausing",
        "generation": 2,
        "partitions": [6],
        "began": NOW - 30,
        "phase_began": NOW - 10,
        "until": NOW + 500,
        "reason": None,
        "copied": None,
        "to_copy": None,
        "expected_s": None,
    }


@pytest.mark.parametrize("phase", [GrowthPhase.FILLING, GrowthPhase.DONE, GrowthPhase.CANCELLED, GrowthPhase.REFUSED])
def test_a_growth_that_has_switched_or_failed_has_no_time_limit_and_nothing_to_copy(phase: GrowthPhase) -> None:
    found = growth_status(state(phase, reason="why"), plan(), {ROWS: CopyOffsets(0, 5, 10)}, NOW)
    assert found is not None
    assert (found["phase"], found["until"], found["copied"], found["reason"]) == (phase.value, None, None, "why")


def test_progress_is_that_of_all_partitions_here_at_the_rate_since_copying_began() -> None:
    offsets = {ROWS: CopyOffsets(100, 150, 200), REST: CopyOffsets(0, 0, 100)}
    found = growth_status(state(), plan(), offsets, NOW)
    assert found is not None
    assert (found["copied"], found["to_copy"], found["expected_s"]) == (50, 200, 30.0)


@pytest.mark.parametrize(
    ("offsets", "expected"),
    [
        ({ROWS: CopyOffsets(100, 100, 200)}, (0, 100, None)),
        ({ROWS: CopyOffsets(100, 200, 200)}, (100, 100, 0.0)),
        ({}, (0, 0, 0.0)),
    ],
)
def test_no_time_is_made_up(offsets: dict[TopicPartition, CopyOffsets], expected: tuple[Any, ...]) -> None:
    found = growth_status(state(), plan(), offsets, NOW)
    assert found is not None
    assert (found["copied"], found["to_copy"], found["expected_s"]) == expected


def test_a_worker_with_another_plan_does_not_report_that_it_copies() -> None:
    for other in (None, plan(3)):
        found = growth_status(state(), other, {ROWS: CopyOffsets(0, 5, 10)}, NOW)
        assert found is not None
        assert found["to_copy"] is None


def test_what_is_copied_begins_with_the_log_or_with_what_nobody_has_processed_yet() -> None:
    cursors = {ROWS: Cursor(120, 100), REST: Cursor(45, 3)}
    origins = {ROWS: OffsetOrigin(2, 110), REST: OffsetOrigin(2, 40)}
    positions, ends, highs = {ROWS: 130, REST: 50}, {ROWS: 150, REST: 60}, {ROWS: 152}
    assert copy_offsets(plan(), cursors, origins, positions, ends, highs) == {
        ROWS: CopyOffsets(100, 130, 152),
        REST: CopyOffsets(40, 50, 60),
    }


def test_an_input_of_which_nothing_was_processed_is_copied_from_the_begin_of_its_log() -> None:
    found = copy_offsets(plan(), {REST: Cursor(3, 3)}, {REST: OffsetOrigin(2)}, {}, {})
    assert found == {REST: CopyOffsets(3, 3, 3)}


def test_the_growth_of_a_worker_comes_from_its_records_and_from_the_offsets_that_it_knows() -> None:
    inputs = SimpleNamespace(
        origins={ROWS: OffsetOrigin(2)}, positions={ROWS: 130}, ends={ROWS: 150}, highs={ROWS: 160}
    )
    membership: Any = SimpleNamespace(
        growth=SimpleNamespace(known=SimpleNamespace(state=state())),
        plan=SimpleNamespace(growth=plan()),
        assignments=SimpleNamespace(copied={ROWS: Cursor(120, 100)}),
        inputs=inputs,
    )
    found = growth_of(membership, NOW)
    assert found is not None
    assert (found["phase"], found["copied"], found["to_copy"], found["expected_s"]) == ("copying", 30, 60, 10.0)
