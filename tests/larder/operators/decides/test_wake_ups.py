"""Wake-ups in their topic, whichever writer they are from: none of them ends a worker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from aiokafka.structs import TopicPartition
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from larder import Decision, EventTopic, OwnerTopic, Row, Service
from larder.declaring.compiled.decides import compile_decide
from larder.delivery.headers import GENERATION_HEADER
from larder.delivery.output import Output
from larder.kafka.batch_consumer import ObservedEnd
from larder.local_tables.partition_view import SLICE_ENTRIES
from larder.local_tables.role import TableRole
from larder.local_tables.table import LocalTable
from larder.operators.decides.decide import Decider
from larder.operators.decides.near_rows import NearRows
from larder.operators.decides.wake_ups import StoredWakeUp, WakeUps, wake_ups_topic
from larder.store import Table
from larder.types import WakeUp
from tests.larder.operators.contexts import context
from tests.larder.operators.memory_delivery import MemoryDelivery, Sent
from tests.larder.store.samples import small_memory


class Opened(Row):
    account: str


class Account(Row):
    account: str
    woken: int = 0
    revision: int = 0


OPENED = EventTopic("bank.opened", Opened, key="account")
ACCOUNTS = OwnerTopic("bank.accounts", Account, key="account", revision="revision", owner="bank")
WAKES = wake_ups_topic("bank.accounts.wake-ups", 1)
OURS = [(GENERATION_HEADER, b"1")]
LETTERS = Output("bank.dead-letters", 1, 1 << 20)


class Stage:
    """A decide on one partition with its wake-ups, in stores; `held` has its rows and its wake-ups."""

    def __init__(self, directory: Path) -> None:
        service = Service("bank")

        @service.decide(OPENED, state=service.table(ACCOUNTS))
        def wake(event: Opened | WakeUp, account: Account | None) -> Decision:
            assert isinstance(event, WakeUp)
            return Decision(rows=Account(account=event.key, woken=1 + (account.woken if account else 0)))

        self.delivery = MemoryDelivery()
        self.held = [self._table(topic, directory) for topic in (ACCOUNTS, WAKES)]
        (decide,) = service.decides
        place = TopicPartition(WAKES.name, 0)
        at = context(place, self.delivery, LETTERS, *self.held, service="bank", operators=[decide])
        rows, stored = (at.owned(self._output(each)) for each in self.held)
        self.decider = Decider(compile_decide(decide), rows, NearRows("bank", 0, {}, lambda: 0.0), [LETTERS], at)
        self.wake_ups = WakeUps(stored, self.decider, [TopicPartition(OPENED.name, 0)], self.delivery.as_delivery())
        self.decider.set_wake_up = self.wake_ups.set

    def take(self, *stored: StoredWakeUp) -> None:
        """Read the topic of wake-ups to its end."""
        records = [Sent(at, 1, each.key, msgspec.json.encode(each), OURS) for at, each in enumerate(stored)]
        self.held[1].apply(0, records, len(records))
        for each, end in zip(self.held, (0, len(records)), strict=True):
            each.observe_end(0, ObservedEnd(end, 0.0))

    def _table(self, topic: OwnerTopic, directory: Path) -> LocalTable:
        table = Table(topic, directory, small_memory(), "partition")
        held = LocalTable(table, TableRole(internal=topic is WAKES, decided_on=topic is not WAKES), 5.0, lambda: 0.0)
        held.set_topic("id-1", 1)
        held.open([0])
        return held

    def _output(self, held: LocalTable) -> Output:
        return Output(held.topic.name, 1, 1 << 20)

    def log(self, topic: str) -> list[Sent]:
        return self.delivery.logs[TopicPartition(topic, 0)]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    for each in stage.held:
        each.close()


@pytest.mark.parametrize("at", [-62135600400.0, -1e308, 253_402_300_800.0, 1e308])
def test_a_wake_up_at_an_impossible_time_is_dead_lettered_and_the_others_come(stage: Stage, at: float) -> None:
    stage.take(StoredWakeUp(key=b"bad", at=at), StoredWakeUp(key=b"good", at=1.0))
    for _ in range(3):
        stage.wake_ups.tick(10.0)
    stage.delivery.finish()
    (letter,) = stage.log(LETTERS.topic)
    assert letter.key == f"{WAKES.name}/0/0".encode()
    assert b"a time in the years 1 to 9999 in UTC" in (dict(letter.headers)["larder.cause"] or b"")
    assert [record.key for record in stage.log(ACCOUNTS.name)] == [b"good"]
    assert [(each.key, each.value) for each in stage.log(WAKES.name)] == [(b"bad", None), (b"good", None)]


def test_a_wake_up_deleted_by_another_writer_does_not_come_and_ends_no_worker(stage: Stage) -> None:
    stage.take(StoredWakeUp(key=b"gone", at=1.0), StoredWakeUp(key=b"good", at=2.0))
    while stage.wake_ups.tick(0.0):
        pass
    stage.held[1].apply(0, [Sent(2, 1, b"gone", None, OURS)], 3)
    stage.wake_ups.tick(10.0)
    stage.delivery.finish()
    assert [record.key for record in stage.log(ACCOUNTS.name)] == [b"good"]
    assert stage.log(LETTERS.topic) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(
    values=st.lists(
        st.none()
        | st.binary(max_size=20)
        | st.builds(
            lambda key, at: msgspec.json.encode({"key": key, "at": at}),
            st.sampled_from(["bad", "YmFk", None]),
            st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.text(max_size=3),
        ),
        max_size=4,
    )
)
def test_whatever_is_among_the_wake_ups_the_valid_ones_come(
    tmp_path_factory: pytest.TempPathFactory, values: list[bytes | None]
) -> None:
    stage = Stage(tmp_path_factory.mktemp("stores"))
    records = [Sent(at, 1, b"bad", value, ()) for at, value in enumerate(values)]
    good = msgspec.json.encode(StoredWakeUp(key=b"good", at=1.0))
    stage.held[1].apply(0, [*records, Sent(len(records), 1, b"good", good, OURS)], len(records) + 1)
    for each, end in zip(stage.held, (0, len(records) + 1), strict=True):
        each.observe_end(0, ObservedEnd(end, 0.0))
    for _ in range(4):
        stage.wake_ups.tick(10.0)
    stage.delivery.finish()
    assert b"good" in [record.key for record in stage.log(ACCOUNTS.name)]
    for each in stage.held:
        each.close()


def test_no_row_is_woken_while_a_row_of_the_state_is_unreadable(stage: Stage) -> None:
    stage.take(StoredWakeUp(key=b"ada", at=1.0))
    stage.held[0].apply(0, [Sent(0, 1, b"ada", b"{}", ())], 1)
    for _ in range(3):
        stage.wake_ups.tick(10.0)
    stage.delivery.finish()
    assert stage.log(ACCOUNTS.name) == []
    stage.held[0].apply(0, [Sent(1, 1, b"ada", None, ())], 2)
    stage.wake_ups.tick(10.0)
    stage.delivery.finish()
    assert len(stage.log(ACCOUNTS.name)) == 1


@pytest.mark.parametrize("running", [False, True])
def test_no_row_is_woken_while_a_wake_up_of_another_version_is_unreadable(stage: Stage, *, running: bool) -> None:
    stage.take(StoredWakeUp(key=b"ada", at=1.0))
    while running and not stage.wake_ups.ready:
        stage.wake_ups.tick(0.0)
    stage.held[1].apply(0, [Sent(1, 1, b"bob", b'{"key":"Ym9i","when":"noon"}', OURS)], 2)
    for _ in range(3):
        stage.wake_ups.tick(10.0)
    stage.delivery.finish()
    assert stage.log(ACCOUNTS.name) == []
    stage.held[1].apply(0, [Sent(2, 1, b"bob", None, OURS)], 3)
    for _ in range(3):
        stage.wake_ups.tick(10.0)
    stage.delivery.finish()
    assert [record.key for record in stage.log(ACCOUNTS.name)] == [b"ada"]


def test_stored_wake_ups_are_read_a_slice_at_a_time(stage: Stage) -> None:
    stored = [StoredWakeUp(key=b"%d" % number, at=1e9) for number in range(2 * SLICE_ENTRIES + 1)]
    stage.take(*stored)
    for _ in range(3):
        assert stage.wake_ups.tick(10.0), "there is more to read"
        assert not stage.wake_ups.ready
    assert not stage.wake_ups.tick(10.0)
    assert stage.wake_ups.ready
    assert len(stage.wake_ups) == len(stored)
