"""Where inputs are read from: every case, without a broker."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from aiokafka.structs import TopicPartition

from larder.group.start_offsets import Fallback, Offsets, OffsetsLostError, input_offset
from larder.kafka.committed import Committed
from larder.kafka.topic_metadata import Described

ORDERS, NEXT = TopicPartition("orders", 0), TopicPartition("orders", 1)
BEGIN, END = 10, 50


def start(
    committed: Mapping[TopicPartition, int],
    remembered: Mapping[str, str],
    fallback: Fallback | None = None,
    topic_id: str = "id-1",
    committed_for: str = "id-1",
) -> int:
    known = {tp: Committed(offset, committed_for) for tp, offset in committed.items()}
    offsets = Offsets(known, dict.fromkeys((ORDERS, NEXT), BEGIN), dict.fromkeys((ORDERS, NEXT), END))
    return input_offset(ORDERS, offsets, remembered, topic_id, fallback)


@pytest.mark.parametrize("committed", [BEGIN, 30, END])
@pytest.mark.parametrize("fallback", [None, "earliest", "latest"])
def test_a_service_goes_on_where_it_committed_whatever_else_is_said(committed: int, fallback: Fallback | None) -> None:
    assert start({ORDERS: committed}, {"orders": "id-1"}, fallback) == committed


def test_a_service_that_never_committed_begins_at_the_start() -> None:
    assert start({}, {}) == BEGIN
    assert start({}, {"other": "id-1"}) == BEGIN


def test_a_partition_that_is_new_begins_at_the_start() -> None:
    assert start({NEXT: 20}, {"orders": "id-1"}) == BEGIN


def test_offsets_that_are_gone_are_refused_and_never_guessed() -> None:
    with pytest.raises(OffsetsLostError, match="found none, though this service has committed before"):
        start({}, {"orders": "id-1"})


@pytest.mark.parametrize("committed", [0, BEGIN - 1, END + 1])
def test_an_offset_outside_the_log_is_refused_also_by_a_worker_that_remembers_nothing(committed: int) -> None:
    with pytest.raises(OffsetsLostError, match=f"found {committed}, and a log from {BEGIN} to {END}"):
        start({ORDERS: committed}, {})


@pytest.mark.parametrize("committed", [{}, {ORDERS: 30}, {ORDERS: END + 1}])
def test_a_topic_that_was_made_anew_is_refused_although_the_offset_is_in_its_log(
    committed: Mapping[TopicPartition, int],
) -> None:
    with pytest.raises(OffsetsLostError, match=r"found another topic of that name \(id id-2, it was id-1\)"):
        start(committed, {"orders": "id-1"}, topic_id="id-2")


def test_a_worker_that_remembers_the_topic_before_goes_on_where_another_committed_for_the_new_one() -> None:
    assert start({ORDERS: 30}, {"orders": "id-1"}, topic_id="id-2", committed_for="id-2") == 30
    assert start({NEXT: 30}, {"orders": "id-1"}, topic_id="id-2", committed_for="id-2") == BEGIN


def test_an_offset_that_somebody_else_committed_without_an_id_counts() -> None:
    assert start({ORDERS: 30}, {}, committed_for="") == 30


@pytest.mark.parametrize(("fallback", "offset"), [("earliest", BEGIN), ("latest", END)])
@pytest.mark.parametrize("committed", [{}, {ORDERS: END + 1}, {ORDERS: 30}])
def test_the_way_out_is_taken_where_the_offset_is_of_no_use(
    fallback: Fallback, offset: int, committed: Mapping[TopicPartition, int]
) -> None:
    assert start(committed, {"orders": "id-1"}, fallback, topic_id="id-2") == offset


def test_a_refusal_names_the_input_and_the_way_out() -> None:
    with pytest.raises(OffsetsLostError) as refused:
        start({}, {"orders": "id-1"})
    assert refused.value.problem.declared == "input orders, partition 0"
    assert "--inputs-from earliest" in str(refused.value)


@pytest.mark.parametrize("by", ["", "shipping.one"])
@pytest.mark.parametrize("placed_by", [0, 4])
def test_what_is_committed_is_read_as_it_was_written(by: str, placed_by: int) -> None:
    committed = Committed(7, "id-1", by, placed_by)
    assert Committed.read(committed.written()) == committed


def test_the_group_knows_the_number_of_partitions_that_it_depends_on() -> None:
    offsets = Offsets({ORDERS: Committed(7, "id-1", "", 4), TopicPartition("others", 0): Committed(7, "id-2")}, {}, {})
    assert offsets.placed_by() == {"orders": Described("id-1", 4)}
