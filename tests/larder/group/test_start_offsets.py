"""The start offset of an input: every case, without a broker."""

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
def test_a_service_continues_at_its_committed_offset_whatever_the_fallback(
    committed: int, fallback: Fallback | None
) -> None:
    assert start({ORDERS: committed}, {"orders": "id-1"}, fallback) == committed


def test_a_service_without_committed_offsets_starts_at_the_beginning() -> None:
    assert start({}, {}) == BEGIN
    assert start({}, {"other": "id-1"}) == BEGIN


def test_a_new_partition_is_read_from_the_beginning() -> None:
    assert start({NEXT: 20}, {"orders": "id-1"}) == BEGIN


def test_lost_offsets_are_refused_and_never_guessed() -> None:
    with pytest.raises(OffsetsLostError, match="found none, though this service has committed before"):
        start({}, {"orders": "id-1"})


@pytest.mark.parametrize("committed", [0, BEGIN - 1, END + 1])
def test_an_offset_outside_the_log_is_refused_even_by_a_new_worker(committed: int) -> None:
    with pytest.raises(OffsetsLostError, match=f"found {committed}, and a log from {BEGIN} to {END}"):
        start({ORDERS: committed}, {})


@pytest.mark.parametrize("committed", [{}, {ORDERS: 30}, {ORDERS: END + 1}])
def test_a_recreated_topic_is_refused_even_if_its_log_has_the_offset(
    committed: Mapping[TopicPartition, int],
) -> None:
    with pytest.raises(OffsetsLostError, match=r"found another topic of that name \(id id-2, it was id-1\)"):
        start(committed, {"orders": "id-1"}, topic_id="id-2")


def test_an_offset_committed_for_the_new_topic_outweighs_a_remembered_id() -> None:
    assert start({ORDERS: 30}, {"orders": "id-1"}, topic_id="id-2", committed_for="id-2") == 30
    assert start({NEXT: 30}, {"orders": "id-1"}, topic_id="id-2", committed_for="id-2") == BEGIN


def test_an_offset_committed_without_a_topic_id_is_accepted() -> None:
    assert start({ORDERS: 30}, {}, committed_for="") == 30


@pytest.mark.parametrize(("fallback", "offset"), [("earliest", BEGIN), ("latest", END)])
@pytest.mark.parametrize("committed", [{}, {ORDERS: END + 1}, {ORDERS: 30}])
def test_the_fallback_replaces_a_useless_offset(
    fallback: Fallback, offset: int, committed: Mapping[TopicPartition, int]
) -> None:
    assert start(committed, {"orders": "id-1"}, fallback, topic_id="id-2") == offset


def test_a_refusal_names_the_input_and_the_option_for_a_fallback() -> None:
    with pytest.raises(OffsetsLostError) as refused:
        start({}, {"orders": "id-1"})
    assert refused.value.problem.declared == "input orders, partition 0"
    assert "--inputs-from earliest" in str(refused.value)


@pytest.mark.parametrize("by", ["", "shipping.one"])
@pytest.mark.parametrize("placed_by", [0, 4])
def test_commit_metadata_survives_encoding(by: str, placed_by: int) -> None:
    committed = Committed(7, "id-1", by, placed_by)
    assert Committed.read(committed.written()) == committed


def test_committed_offsets_contain_the_number_of_partitions_they_depend_on() -> None:
    offsets = Offsets({ORDERS: Committed(7, "id-1", "", 4), TopicPartition("others", 0): Committed(7, "id-2")}, {}, {})
    assert offsets.placed_by() == {"orders": Described("id-1", 4)}
