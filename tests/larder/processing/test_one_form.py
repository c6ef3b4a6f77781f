"""UUID keys in capitals or braces, as .NET and SQL Server write them, are normalized to one form."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from aiokafka.structs import TopicPartition

from larder import OwnerTopic, Row
from larder.declaring.keys import UUID
from larder.declaring.records import Record
from larder.delivery.output import Output
from larder.kafka.partitioner import partition_of
from larder.local_tables.role import TableRole
from larder.local_tables.table import LocalTable
from larder.processing.handlers import InputHandler
from larder.store import Table
from larder.store.table import Held
from tests.larder.operators.contexts import context
from tests.larder.operators.memory_delivery import MemoryDelivery
from tests.larder.store.samples import Sent, small_memory

ID = uuid.UUID("0f0e0d0c-abcd-ef01-2345-6789abcdef01")
KEY = str(ID).encode()
CAPITALS, BRACES = KEY.upper(), b"{%b}" % KEY.upper()


class Part(Row):
    part_id: uuid.UUID
    name: str = ""
    revision: int = 0


parts = OwnerTopic("parts", Part, key="part_id", revision="revision", key_type=uuid.UUID)


def part(offset: int, key: bytes, revision: int) -> Sent:
    text = key.decode().strip("{}")
    return Sent(offset, key, json.dumps({"part_id": text, "name": f"at {offset}", "revision": revision}).encode())


def opened(directory: Path, held: Held) -> LocalTable:
    store = Table(parts, directory, small_memory(), held, lambda: 1.0)
    table = LocalTable(store, TableRole(by_key=held == "partition"), 5.0, lambda: 1.0)
    table.set_topic("id", 4)
    table.open(range(4))
    return table


@pytest.fixture
def whole(tmp_path: Path) -> Iterator[LocalTable]:
    table = opened(tmp_path, "global")
    yield table
    table.close()


@pytest.fixture
def by_partition(tmp_path: Path) -> Iterator[LocalTable]:
    table = opened(tmp_path, "partition")
    yield table
    table.close()


def test_a_row_with_a_key_in_any_form_is_stored_and_found_under_one_key(whole: LocalTable) -> None:
    changed: list[bytes] = []
    whole.changes.watch = lambda _partition, keys: changed.extend(keys)
    forms = [CAPITALS, BRACES, KEY]
    assert whole.apply(0, [part(offset, key, offset + 1) for offset, key in enumerate(forms)], 3) == []
    assert (whole.counts.new, whole.counts.changed) == (1, 2)
    assert json.loads(whole.stored.raw(KEY) or b"")["name"] == "at 2"
    assert whole.stored.raw(CAPITALS) is None
    assert set(changed) == {KEY}


def test_a_deletion_with_a_key_in_another_form_deletes_the_row(whole: LocalTable) -> None:
    whole.apply(0, [part(0, KEY, 1), Sent(1, BRACES, None)], 2)
    assert whole.stored.raw(KEY) is None
    assert whole.counts.deleted == 1


def test_a_wrong_key_is_rejected_in_any_form_and_reported_as_it_was_sent(whole: LocalTable) -> None:
    other = Sent(0, str(uuid.uuid4()).upper().encode(), part(0, KEY, 1).value)
    (rejected,) = whole.apply(0, [other], 1)
    assert "requires the value of part_id" in rejected.cause
    (kept,) = whole.stored.shard(0).rejected_records.newest(1)
    assert kept.key == other.key


def test_a_co_partitioned_row_is_where_its_key_is_looked_up_or_is_rejected(
    by_partition: LocalTable,
) -> None:
    here, there = partition_of(KEY, 4), partition_of(CAPITALS, 4)
    assert here != there
    (rejected,) = by_partition.apply(there, [part(0, CAPITALS, 1)], 1)
    assert f"its key was sent as {CAPITALS!r}, and is looked up as {KEY!r}: send it so" in rejected.cause
    assert "make the table global" in rejected.cause
    assert by_partition.apply(here, [part(0, CAPITALS, 1)], 1) == []
    assert by_partition.stored.raw(KEY) is not None


def test_inputs_are_handled_under_one_key_and_dead_lettered_as_they_were_sent() -> None:
    delivery = MemoryDelivery()
    tp = TopicPartition("orders", 0)
    at = context(tp, delivery, Output("s.dead-letters", 1, 1 << 20))
    dead_letters = at.dead_letters()
    handled: list[bytes | None] = []

    class Stage:
        def process(self, records: Sequence[Record]) -> None:
            handled.extend(record.key for record in records)
            for record in records:
                dead_letters.add(record, "for a trial")

        def busy(self) -> bool:
            return False

    sent = [Sent(0, CAPITALS, b"{}"), Sent(1, None, b"{}"), Sent(2, b"no uuid", b"{}"), Sent(3, KEY, b"{}")]
    InputHandler(at, {"stage": Stage()}, UUID).process(sent, 4)
    assert handled == [KEY, None, b"no uuid", KEY]
    delivery.settle()
    letters = delivery.logs[TopicPartition("s.dead-letters", 0)]
    assert [dict(letter.headers).get("larder.key") for letter in letters] == [CAPITALS, None, b"no uuid", KEY]
