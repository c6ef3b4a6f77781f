"""Waiting records in the table that keeps them: each is read as it came, and invalid ones are dead-lettered."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import astuple
from functools import partial
from itertools import chain
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from larder.declaring.records import PlainRecord
from larder.delivery.headers import GENERATION_HEADER
from larder.delivery.output import Output
from larder.kafka.batch_consumer import ObservedEnd
from larder.local_tables.kept_rows import unreadable_rows
from larder.local_tables.role import TableRole
from larder.local_tables.table import LocalTable
from larder.operators.decides.wake_ups import StoredWakeUp
from larder.operators.joins.waiting_index import WaitingPlace
from larder.operators.joins.waiting_records import read, waiting_topic, written
from larder.operators.owned_rows import OwnedRows
from larder.operators.rekeying.rows import RowPlace
from larder.processing.handlers import TableHandler
from larder.store import Table
from tests.larder.operators.contexts import context
from tests.larder.operators.joins.test_waiting_room import ADA, INK, JOINED, LETTERS, WAITING, Stage
from tests.larder.operators.memory_delivery import Sent
from tests.larder.store.samples import small_memory

BYTES = st.binary(max_size=50)


PLACES = st.builds(
    WaitingPlace,
    st.text(max_size=9).map(str.encode),
    st.none() | BYTES,
    st.integers(0, 2**63 - 1),
    st.integers(-1, 2**63 - 1),
    st.floats(0, 1e12),
)


@given(
    place=PLACES,
    value=BYTES,
    headers=st.lists(st.tuples(st.text(max_size=9), st.none() | BYTES), max_size=3),
)
def test_a_record_is_read_as_it_came(
    place: WaitingPlace, value: bytes, headers: list[tuple[str, bytes | None]]
) -> None:
    order = PlainRecord(place.offset, place.timestamp, place.key, value, headers)
    found, waiting = read(written(place, order))
    assert waiting == order
    assert astuple(found) == astuple(place)


EXTREMES = st.sampled_from(["", "\ud800", "\0", -1, 2**63, 2**64, -(2**63), 1e308, -1e308, None, [], {}])
FORMS = st.dictionaries(
    st.sampled_from(["id", "offset", "timestamp", "deadline", "key", "value", "headers", "at", "by", "revision", "no"]),
    EXTREMES | st.text() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    max_size=2,
)

VALID = st.sampled_from(
    [
        {"id": "t/0/1", "offset": 1, "timestamp": 1, "deadline": 1.0, "key": None, "value": "", "headers": []},
        {"key": "YQ==", "at": 1.0},
        {"key": "YQ==", "by": "YQ==", "revision": 1},
    ]
)


@given(BYTES | st.builds(lambda valid, changed: json.dumps({**valid, **changed}).encode(), VALID, FORMS))
def test_any_record_in_an_internal_topic_is_read_or_refused_with_a_value_error(value: bytes) -> None:
    readers: list[Callable[[bytes], object]] = [
        read,
        partial(msgspec.json.decode, type=StoredWakeUp),
        partial(msgspec.json.decode, type=RowPlace),
    ]
    for reader in readers:
        with suppress(ValueError):
            reader(value)


class Kept(Stage):
    """A stage that reads its waiting topic into a table, as a worker does."""

    def __init__(self, directory: Path) -> None:
        topic = waiting_topic(WAITING.topic, 1)
        self.table = LocalTable(
            Table(topic, directory, small_memory(), "partition"), TableRole(internal=True), 5.0, lambda: 0.0
        )
        self.table.set_topic("id-1", 1)
        self.table.open([0])
        super().__init__()

    def read_back(self) -> None:
        table = TableHandler(context(WAITING, self.delivery, Output(LETTERS.topic, 1, 1 << 20), self.table))
        log = self.delivery.logs[WAITING]
        table.process(log[self.table.position(0) :], len(log))
        self.table.observe_end(0, ObservedEnd(len(log), 0.0))

    def rows(self) -> OwnedRows:
        return OwnedRows(self.table.at(0), Output(WAITING.topic, 1, self.largest), self.delivery.as_delivery(), 1)

    def let_them_go(self) -> None:
        """Add both partners, and settle and read back everything."""
        self.come(self.products, "p1", INK)
        self.come(self.customers, "c1", ADA)
        self.delivery.finish()
        self.read_back()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Kept]:
    stage = Kept(tmp_path)
    yield stage
    stage.table.close()


def nested(offset: int, depth: int) -> Sent:
    value = b'{"order_id":"o","customer_id":"c1","product_id":"p1","note":%b%b}' % (b"[" * depth, b"]" * depth)
    return Sent(offset, 0, b"k%d" % offset, value, [("trace", b"%d" % offset)])


@pytest.mark.parametrize("taken_over", [False, True])
def test_a_record_nested_as_deeply_as_allowed_waits_like_any_other(stage: Kept, *, taken_over: bool) -> None:
    orders = [nested(offset, depth) for offset, depth in enumerate(range(700, 1_100))]
    stage.joining.process(orders)
    stage.delivery.finish()
    stage.read_back()
    dead = len(stage.settled(LETTERS))
    assert 0 < dead < len(orders)
    assert len(stage.waiting) == len(list(chain.from_iterable(stage.table.at(0).slices()))) == len(orders) - dead
    if taken_over:
        stage.opened()
    stage.let_them_go()
    assert len(stage.waiting) == len(list(chain.from_iterable(stage.table.at(0).slices()))) == 0
    ended = {record.key for record in stage.settled(JOINED)} | {
        dict(letter.headers)["larder.key"] for letter in stage.settled(LETTERS)
    }
    assert ended == {order.key for order in orders}
    assert {cause for cause in stage.causes() if "nested too deeply" not in cause} == set()


OURS = [(GENERATION_HEADER, b"1")]
ROW = {"id": "f", "offset": 1, "timestamp": 0, "deadline": 0.0, "key": None, "value": "e30=", "headers": []}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"f", b"{"),
        (b"f", b""),
        (None, None),
        (None, msgspec.json.encode(ROW)),
        (b"g", msgspec.json.encode(ROW)),
        (b"f", msgspec.json.encode({**ROW, "value": "no base64"})),
        (b"f", msgspec.json.encode({**ROW, "value": {}})),
        (b"f", msgspec.json.encode({**ROW, "timestamp": 2**63})),
        (b"f", msgspec.json.encode({**ROW, "offset": -1})),
        (b"f", msgspec.json.encode({**ROW, "headers": [["trace", 1]]})),
        (b"f", msgspec.json.encode(ROW)[:-1] + b',"more":' + b"[" * 500 + b"]" * 500 + b"}"),
        (b"f", b'{"id":' + b"[" * 9_000),
    ],
)
def test_invalid_waiting_records_are_dead_lettered_and_the_others_are_kept(
    stage: Kept, key: bytes | None, value: bytes | None
) -> None:
    stage.joining.process([stage.order(0)])
    stage.delivery.emit(Output(WAITING.topic, 1, 1 << 20), 0, key, value, 7)
    stage.joining.process([stage.order(1)])
    stage.delivery.finish()
    stage.read_back()
    (letter,) = stage.settled(LETTERS)
    assert (letter.key, letter.value, letter.timestamp) == (b"s.joined.waiting/0/1", value, 7)
    assert dict(letter.headers)["larder.cause"]
    assert not list(stage.table.unpublished(0))
    stage.opened()
    assert len(stage.waiting) == 2
    stage.let_them_go()
    assert len(stage.settled(JOINED)) == 2


def test_a_waiting_record_of_another_version_is_kept_and_holds_its_input_back(stage: Kept) -> None:
    stage.joining.process([stage.order(0)])
    newer = msgspec.json.encode({**ROW, "added": 1})
    stage.delivery.emit(Output(WAITING.topic, 1, 1 << 20), 0, b"f", newer, 7, OURS)
    stage.delivery.emit(Output(WAITING.topic, 1, 1 << 20), 0, b"f", None, 7)
    stage.delivery.finish()
    stage.read_back()
    (letter,) = stage.settled(LETTERS)
    assert letter.key == b"s.joined.waiting/0/2", "the deletion by another writer"
    assert stage.table.unreadable(0) == 1
    assert not stage.opened().ready
    problem = unreadable_rows(stage.table, 0)
    assert problem.declared == "internal topic s.joined.waiting, partition 0"
    assert "under 1 of its keys, for instance f at offset 1" in problem.found
    assert "start the version of Larder that wrote these records" in problem.do
    stage.delivery.emit(Output(WAITING.topic, 1, 1 << 20), 0, b"f", None, 7, OURS)
    stage.delivery.finish()
    stage.read_back()
    assert stage.opened().ready
    assert len(stage.waiting) == 1


def test_a_foreign_waiting_record_is_dead_lettered_as_the_record_it_claims_to_be(stage: Kept) -> None:
    for name, value in {"a": b"{", "b": b"[" * 5_000, "c": b"", "d": b'{"order_id":"o"}'}.items():
        order = PlainRecord(3, 7, b"k", value, [("trace", b"t")])
        row = written(WaitingPlace(name.encode(), b"k", 3, 7, 0.0), order)
        stage.delivery.emit(Output(WAITING.topic, 1, 1 << 20), 0, name.encode(), row, 7, OURS)
    stage.delivery.finish()
    stage.read_back()
    stage.opened()
    assert len(stage.waiting) == 0
    letters = stage.settled(LETTERS)
    assert [letter.value for letter in letters] == [b"{", b"[" * 5_000, b"", b'{"order_id":"o"}']
    assert {dict(letter.headers)["trace"] for letter in letters} == {b"t"}
    stage.read_back()
    assert not list(chain.from_iterable(stage.table.at(0).slices()))
