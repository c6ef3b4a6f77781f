"""Rows that a service owns: written rows overlay the stored ones until they are stored themselves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from aiokafka.structs import TopicPartition

from larder import OwnerTopic, Row
from larder.delivery.output import Output
from larder.kafka.batch_consumer import ObservedEnd
from larder.local_tables.role import TableRole
from larder.local_tables.table import LocalTable
from larder.operators import owned_rows
from larder.operators.owned_rows import OwnedRows, Written
from larder.store import Table
from tests.larder.operators.memory_delivery import MemoryDelivery, Sent
from tests.larder.store.samples import small_memory


class Stock(Row):
    product_id: str
    left: int
    revision: int


TOPIC = OwnerTopic("shop.stocks", Stock, key="product_id", revision="revision")
STOCKS = TopicPartition(TOPIC.name, 0)
OTHERS = Output("shop.others", 1, 1 << 20)
KEY = b"p1"


class Stage:
    """A table in its store, whose topic is read on request; `rows` are those of one assignment."""

    def __init__(self, directory: Path) -> None:
        self.held = LocalTable(Table(TOPIC, directory, small_memory(), "partition"), TableRole(), 5.0, lambda: 0.0)
        self.held.set_topic("id-1", 1)
        self.held.open([0])
        self.delivery = MemoryDelivery()
        self.rows = OwnedRows(self.held.at(0), Output(TOPIC.name, 1, 1 << 20), self.delivery.as_delivery(), 7)

    @property
    def log(self) -> list[Sent]:
        return self.delivery.logs[STOCKS]

    def write(self, revision: int, key: bytes = KEY) -> bytes:
        value = msgspec.json.encode(Stock(product_id=key.decode(), left=0, revision=revision))
        self.rows.write(Written(key, value, revision), 1_000, revision - 1 or None)
        return value

    def read(self, count: int = 100) -> None:
        """Read records of the topic into the store, and forget the stored rows."""
        position = self.held.position(0)
        records = self.log[position : position + count]
        self.held.apply(0, records, position + len(records))
        self.rows.forget_stored()

    def stored(self) -> bytes | None:
        return self.held.stored.shard(0).raw(KEY)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    stage.held.close()


def test_a_written_row_is_visible_at_once_and_only_to_its_owner(stage: Stage) -> None:
    value = stage.write(1)
    assert (stage.rows.raw(KEY), stage.rows.revision(KEY)) == (value, 1)
    assert stage.stored() is None
    assert list(stage.rows.slices()) == []


def test_a_written_row_is_forgotten_only_when_it_is_stored(stage: Stage) -> None:
    value = stage.write(1)
    for _ in range(2):
        stage.rows.forget_stored()
        assert stage.rows.written(KEY) is not None
        stage.delivery.settle()
    stage.read()
    assert stage.rows.written(KEY) is None
    assert stage.rows.raw(KEY) == stage.stored() == value
    assert list(stage.rows.slices()) == [[value]]


def test_the_rows_of_a_unit_are_forgotten_when_all_are_stored(stage: Stage) -> None:
    stage.write(1)
    stage.write(1, b"p2")
    stage.delivery.settle()
    stage.read(1)
    assert stage.rows.written(b"p2") is not None
    stage.read(1)
    assert stage.rows.written(KEY) is stage.rows.written(b"p2") is None


def test_rows_read_back_before_their_unit_is_settled_are_forgotten_after_it(stage: Stage) -> None:
    stage.write(1)
    unit = stage.delivery.unit
    after, unit.afterwards = unit.afterwards, []
    stage.delivery.settle()
    stage.read()
    assert stage.rows.written(KEY) is not None
    after[0]()
    stage.rows.forget_stored()
    assert stage.rows.written(KEY) is None


def test_a_newer_row_of_a_key_is_kept_when_the_older_one_is_stored(stage: Stage) -> None:
    stage.write(1)
    stage.delivery.settle()
    newer = stage.write(2)
    stage.read()
    assert stage.stored() is not None
    assert (stage.rows.raw(KEY), stage.rows.revision(KEY)) == (newer, 2)
    stage.delivery.settle()
    stage.read()
    assert stage.rows.written(KEY) is None
    assert stage.stored() == newer


def test_a_deleted_row_is_absent_although_it_is_still_stored(stage: Stage) -> None:
    stage.write(1)
    stage.delivery.settle()
    stage.read()
    stage.rows.write(Written(KEY, None, 2), 1_000, 1)
    assert stage.rows.raw(KEY) is None
    assert stage.rows.stored_many([KEY, b"p2"]) == {b"p2": None}
    stage.delivery.settle()
    stage.read()
    assert stage.rows.written(KEY) is stage.rows.raw(KEY) is None
    assert stage.rows.revision(KEY) == 2


def test_without_an_offset_from_the_broker_rows_are_kept_until_a_later_unit_is_stored(stage: Stage) -> None:
    stage.write(1)
    stage.delivery.settle(known=False)
    stage.read()
    assert stage.stored() is not None
    assert stage.rows.written(KEY) is not None
    stage.write(1, b"p2")
    stage.delivery.settle()
    stage.rows.forget_stored()
    assert stage.rows.written(KEY) is not None
    stage.read()
    assert stage.rows.written(KEY) is stage.rows.written(b"p2") is None


def test_a_unit_without_rows_does_not_show_what_is_stored(stage: Stage) -> None:
    stage.write(1)
    stage.delivery.settle(known=False)
    stage.delivery.emit(OTHERS, 0, b"k", b"v", 0)
    stage.delivery.settle()
    stage.rows.forget_stored()
    assert stage.rows.written(KEY) is not None


def test_records_name_their_generation_and_deletions_their_revision(stage: Stage) -> None:
    stage.write(1)
    stage.write(2)
    stage.rows.write(Written(KEY, None, 3), 1_000, 2)
    stage.rows.write(Written(b"p2", None, None), 1_000)
    stage.delivery.settle()
    generation = ("larder.generation", b"7")
    assert [list(record.headers) for record in stage.log] == [
        [generation],
        [generation, ("larder.based-on", b"1")],
        [generation, ("larder.based-on", b"2"), ("larder.revision", b"3")],
        [generation],
    ]
    assert [record.timestamp for record in stage.log] == [1_000] * 4


def test_a_deletion_without_a_declared_revision_keeps_the_rows_revision(stage: Stage) -> None:
    stage.write(1)
    stage.rows.write(Written(KEY, None, 1, declared=False), 1_000)
    assert (stage.rows.raw(KEY), stage.rows.revision(KEY)) == (None, 1)
    stage.delivery.settle()
    assert dict(stage.log[-1].headers).keys() == {"larder.generation"}


def test_a_deletion_returns_with_its_revision_and_the_next_row_is_above_it(stage: Stage) -> None:
    stage.write(1)
    stage.rows.write(Written(KEY, None, 2), 1_000, 1)
    stage.delivery.settle()
    stage.read()
    assert stage.rows.revision(KEY) == 2
    assert stage.rows.revision(b"p2") is None
    assert stage.rows.first_revision() == 3


def test_the_first_revision_is_above_all_of_earlier_generations(stage: Stage) -> None:
    stage.write(1)
    stage.delivery.settle()
    stage.read()
    delivery = stage.delivery.as_delivery()
    rows = OwnedRows(stage.held.at(0), stage.rows.output, delivery, 8, floor=1_000)
    assert rows.first_revision() == 1_000 + stage.rows.first_revision()


def test_an_owned_partition_is_full_until_some_rows_are_stored(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owned_rows, "UNSTORED_ROWS", 2)
    stage.write(1)
    stage.write(2)
    assert not stage.rows.full()
    stage.write(1, b"p2")
    assert stage.rows.full()
    stage.delivery.settle()
    assert stage.rows.full()
    position = len(stage.log)
    stage.held.apply(0, stage.log, position)
    assert not stage.rows.full()


def test_an_unsettled_row_is_absent_in_the_next_assignment(stage: Stage) -> None:
    value = stage.write(1)
    stage.delivery.settle()
    stage.read()
    stage.write(2)
    stage.delivery.crash(lambda _: 0)
    again = OwnedRows(stage.held.at(0), stage.rows.output, stage.delivery.as_delivery(), 8)
    assert (again.raw(KEY), again.revision(KEY)) == (value, 1)


def test_owned_rows_are_caught_up_with_their_table_and_know_a_rows_offset(stage: Stage) -> None:
    stage.write(1, b"p2")
    stage.write(1)
    stage.delivery.settle()
    stage.held.observe_end(0, ObservedEnd(2, 0.0))
    assert not stage.rows.caught_up()
    with pytest.raises(LookupError):
        stage.rows.offset(KEY)
    stage.read()
    assert stage.rows.caught_up()
    assert stage.rows.offset(KEY) == 1
