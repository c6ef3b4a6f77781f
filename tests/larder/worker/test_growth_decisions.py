"""When a phase of a growth is over, and with what the next one begins: by values, without a broker."""

from __future__ import annotations

import pytest
from aiokafka.structs import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from larder.declaring.generations import Generation, read_generation
from larder.declaring.growth import Filled, Growth, GrowthPhase, read_record
from larder.group.peers import Peer
from larder.kafka.committed import Committed, OffsetOrigin
from larder.worker import growth_decisions as decisions

ONE, TWO = TopicPartition("rows", 0), TopicPartition("rows", 1)
NEW = Generation(2, {"rows": 6}, {})
GROWTH = Growth("id", 4, GrowthPhase.COPYING, NEW, 10.0, 20.0)


def peer(worker: str, step: int = 4) -> Peer:
    return Peer(worker, "", {}, {}, step, knows_growth=True)


def committed(offset: int, generation: int = 2) -> Committed:
    return Committed(offset, "id", origin=OffsetOrigin(generation))


def test_a_phase_lasts_while_a_member_works_by_another_plan() -> None:
    assert decisions.work_by([peer("a"), peer("b")], 4)
    assert not decisions.work_by([peer("a"), peer("b", 3)], 4)
    assert not decisions.work_by([], 4)
    assert not decisions.work_by(None, 4), "the group rebalances"


def test_a_reaction_has_processed_all_only_up_to_the_ends() -> None:
    assert decisions.all_processed({ONE: committed(5), TWO: committed(0)}, {ONE: 5, TWO: 0})
    assert not decisions.all_processed({ONE: committed(4), TWO: committed(0)}, {ONE: 5, TWO: 0})
    assert not decisions.all_processed({ONE: committed(5)}, {ONE: 5, TWO: 0})


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9), st.integers(0, 9)), min_size=1))
def test_all_is_copied_only_by_offsets_of_the_new_generation(parts: list[tuple[int, int, int]]) -> None:
    offsets = {TopicPartition("rows", n): committed(at, number) for n, (number, at, _) in enumerate(parts)}
    ends = {TopicPartition("rows", n): end for n, (_, _, end) in enumerate(parts)}
    assert decisions.all_copied(offsets, ends, 2) == all(number == 2 and at >= end for number, at, end in parts)


def test_mirrors_have_all_rows_once_each_member_of_this_assignment_has_said_so() -> None:
    peers = [peer("a"), peer("b")]
    assert decisions.all_filled([Filled("a", 4, 7), Filled("b", 4, 7), Filled("gone", 4, 7)], peers, 4, 7)
    assert not decisions.all_filled([Filled("a", 4, 7)], peers, 4, 7)
    assert not decisions.all_filled([Filled("a", 4, 7), Filled("b", 4, 6)], peers, 4, 7), "another assignment"
    assert not decisions.all_filled([Filled("a", 4, 7), Filled("b", 3, 7)], peers, 4, 7), "another step"


def test_floors_lie_above_all_revisions_of_before() -> None:
    """A row of a generation has the revision floor + position + 1 at most."""
    first = decisions.floors({}, {"levels": [3, 9]})
    assert first == {"levels": 10}
    assert decisions.floors(first, {"levels": [0, 4]}) == {"levels": 15}


@pytest.mark.parametrize(("filled", "phase"), [({"customers": 4}, "filling"), ({}, "done")])
def test_a_generation_begins_behind_what_was_copied(filled: dict[str, int], phase: str) -> None:
    growth = Growth("id", 4, GrowthPhase.COPYING, Generation(2, {"rows": 2}, {}, filled=filled), 10.0, 20.0)
    found = decisions.switched(growth, {TWO: 8, ONE: 5}, {"levels": 10}, 30.0)
    assert (found.phase.value, found.step, found.began) == (phase, 5, 30.0)
    generation = found.generation
    assert (generation.at, generation.heads, generation.floors) == (10.0, {"rows": (5, 8)}, {"levels": 10})


def test_workers_switch_by_a_record_of_its_own_in_the_same_unit() -> None:
    done = decisions.moved(GROWTH, GrowthPhase.DONE, 30.0, step=1)
    switch, record = decisions.records_of(GrowthPhase.COPYING, done)
    assert (switch.key, read_generation(switch.value)) == (b"2 switch", NEW)
    assert read_record(record.value) == done


@pytest.mark.parametrize(
    ("before", "phase"),
    [
        (GrowthPhase.DONE, GrowthPhase.PAUSING),
        (GrowthPhase.PAUSING, GrowthPhase.COPYING),
        (GrowthPhase.COPYING, GrowthPhase.CANCELLED),
        (GrowthPhase.FILLING, GrowthPhase.DONE),
    ],
)
def test_no_other_phase_switches_the_workers(before: GrowthPhase, phase: GrowthPhase) -> None:
    (record,) = decisions.records_of(before, decisions.moved(GROWTH, phase, 30.0))
    found = read_record(record.value)
    assert isinstance(found, Growth)
    assert found.phase is phase


def test_a_refusal_says_why_and_changes_no_plan() -> None:
    found = decisions.refused("id", 4, NEW, ["one", "two"], 30.0, 3)
    assert (found.phase, found.step, found.reason, found.highest) == (GrowthPhase.REFUSED, 4, "one; two", 3)
