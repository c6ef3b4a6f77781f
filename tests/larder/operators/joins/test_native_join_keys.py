"""A native join by UUID: with a key in any form, a record finds its row, or is dead-lettered with a cause."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka.structs import TopicPartition

from larder import Drop, EventTopic, PassOn, Row, Service
from larder.declaring.compiled.joins import compile_join
from larder.delivery.output import Output
from larder.kafka.partitioner import partition_of
from larder.local_tables.misplaced import RecordPlaces
from larder.local_tables.table import LocalTable
from larder.processing.handlers import InputHandler
from tests.larder.operators.contexts import context
from tests.larder.operators.joins.built import built
from tests.larder.operators.memory_delivery import MemoryDelivery, Sent
from tests.larder.processing.test_one_form import BRACES, CAPITALS, ID, KEY, Part, opened, part, parts

URN, HEX = b"urn:uuid:%b" % KEY, ID.hex.encode()
HERE = partition_of(KEY, 4)


class Order(Row):
    part_id: uuid.UUID
    pieces: int = 1


class Joined(Order):
    part: Part | None = None


orders = EventTopic("orders", Order, key="part_id", key_type=uuid.UUID)
joined = EventTopic("joined", Joined, key="part_id", key_type=uuid.UUID)


@pytest.fixture
def held(tmp_path: Path) -> Iterator[LocalTable]:
    table = opened(tmp_path, "partition")
    assert table.apply(HERE, [part(0, KEY, 1)], 1) == []
    yield table
    table.close()


def met(
    held: LocalTable, key: bytes | None, field: bytes, partition: int, settle: Any
) -> tuple[list[Sent], list[Sent]]:
    """Return the results of an order in a partition, and its dead letters."""
    service = Service("shop")
    declared = service.join(orders, service.table(parts).on("part_id", embed="part"), into=joined, missing=settle)
    delivery, tp = MemoryDelivery(), TopicPartition("orders", partition)
    at = context(tp, delivery, Output("letters", 1, 1 << 20), service="shop")
    output = Output("joined", 1, 1 << 20)
    compiled = compile_join(declared)
    places = RecordPlaces(partition, declared.lookups, [held.partition_count])
    join = built(compiled, [held.at(partition)], output, at, places=places)
    order = Sent(0, 1, key, json.dumps({"part_id": field.decode()}).encode(), ())
    InputHandler(at, {"join": join.step}, orders.key_codec).process([order], 1)
    delivery.settle()
    return delivery.logs[TopicPartition("joined", 0)], delivery.logs[TopicPartition("letters", 0)]


@pytest.mark.parametrize("settle", [PassOn, Drop])
@pytest.mark.parametrize("field", [KEY, CAPITALS, BRACES, URN, HEX])
@pytest.mark.parametrize("key", [KEY, CAPITALS, BRACES, URN, HEX])
def test_a_record_in_the_partition_of_its_row_finds_it_any_other_is_dead_lettered(
    held: LocalTable, key: bytes, field: bytes, settle: Any
) -> None:
    results, letters = met(held, key, field, partition_of(key, 4), settle)
    assert len(results) + len(letters) == 1
    for result in results:
        assert result.key == KEY
        assert json.loads(result.value or b"")["part"]["name"] == "at 0"


@pytest.mark.parametrize("key", [KEY, CAPITALS, BRACES])
@pytest.mark.parametrize("field", [KEY, CAPITALS, HEX])
def test_a_record_in_the_partition_of_its_row_finds_it_by_a_key_in_any_form(
    held: LocalTable, key: bytes, field: bytes
) -> None:
    results, letters = met(held, key, field, HERE, Drop)
    assert ([each.key for each in results], letters) == ([KEY], [])


def test_a_record_placed_by_another_form_of_its_key_is_dead_lettered_with_the_right_form(
    held: LocalTable,
) -> None:
    there = partition_of(CAPITALS, 4)
    assert there != HERE
    results, (letter,) = met(held, CAPITALS, KEY, there, Drop)
    assert results == []
    cause = (dict(letter.headers)["larder.cause"] or b"").decode()
    assert f"the partition of their rows, {HERE} for UUID('{ID}') of parts; found one in {there}" in cause
    assert f"its key was sent as {CAPITALS!r}, and is looked up as {KEY!r}: send it so" in cause


@pytest.mark.parametrize("settle", [PassOn, Drop])
def test_a_record_whose_row_does_not_exist_is_not_reported_as_misplaced(held: LocalTable, settle: Any) -> None:
    other = next(key for key in (str(uuid.uuid4()).encode() for _ in range(999)) if partition_of(key, 4) == HERE)
    results, letters = met(held, other, other, HERE, settle)
    assert (len(results), letters) == (int(settle is PassOn), [])
