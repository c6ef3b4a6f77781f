"""How the records of a partition are handled, according to its purpose."""

from __future__ import annotations

from pathlib import Path

from aiokafka.structs import TopicPartition

from larder.delivery.output import Output
from larder.local_tables.role import TableRole
from larder.local_tables.table import LocalTable
from larder.processing.handlers import TableHandler
from larder.store import Table
from tests.larder.local_tables.test_table import key_in
from tests.larder.operators.contexts import context
from tests.larder.operators.memory_delivery import MemoryDelivery
from tests.larder.store.samples import Sent as TableSent
from tests.larder.store.samples import customers, row, small_memory

LETTERS = Output("letters", 4, 1 << 20)


class Stage:
    """Partition 0 of a co-partitioned table, and its dead letters."""

    def __init__(self, directory: Path) -> None:
        self.held = LocalTable(
            Table(customers, directory, small_memory(), "partition"), TableRole(by_key=True), 5.0, lambda: 0.0
        )
        self.held.set_topic("id-1", 4)
        self.held.open([0])
        self.delivery = MemoryDelivery()
        self.handler = TableHandler(context(TopicPartition(customers.name, 0), self.delivery, LETTERS, self.held))

    @property
    def letters(self) -> list[bytes | None]:
        return [letter.key for letter in self.delivery.logs[TopicPartition("letters", 0)]]

    @property
    def unpublished(self) -> list[int]:
        return [record.offset for record in self.held.unpublished(0)]


def test_a_rejected_row_is_marked_as_published_once_that_is_acknowledged(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    good, bad, astray = key_in(0), key_in(0, skip=1), key_in(1)
    stage.handler.process([row(0, good, 1), TableSent(1, bad.encode(), b"{"), row(2, astray, 1)], 3)
    assert stage.unpublished == [1, 2]
    stage.delivery.settle()
    assert stage.letters == [b"shop.customers/0/1", b"shop.customers/0/2"]
    assert stage.unpublished == []
    stage.held.close()


def test_an_unacknowledged_rejected_row_is_published_again_by_the_next_owner(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.handler.process([TableSent(0, key_in(0).encode(), b"{", 77, [("trace", b"t")])], 1)
    stage.delivery.crash(lambda _: 0)
    stage.held.close()
    again = Stage(tmp_path)
    again.handler.publish_left_over()
    again.delivery.settle()
    (letter,) = again.delivery.logs[TopicPartition("letters", 0)]
    assert (letter.key, letter.value, letter.timestamp) == (b"shop.customers/0/0", b"{", 77)
    assert dict(letter.headers)["trace"] == b"t"
    assert "requires JSON" in dict(letter.headers)["larder.cause"].decode()
    again.held.close()
    third = Stage(tmp_path)
    third.handler.publish_left_over()
    assert not third.delivery.pending
    third.held.close()


def test_a_partition_that_closes_meanwhile_causes_no_failure(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.handler.process([TableSent(0, key_in(0).encode(), b"{")], 1)
    stage.held.close()
    stage.delivery.settle()
    assert len(stage.letters) == 1
