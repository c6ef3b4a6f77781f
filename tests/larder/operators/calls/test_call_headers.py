"""The headers of a call's event go along: to its function, to its results, and into its dead letter."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest
from aiokafka.structs import TopicPartition

from larder import EventTopic, Retry, Row, Service
from larder.declaring.calls import Call
from larder.declaring.compiled.calls import compile_call
from larder.declaring.stored_calls import Beginning, Done, Failed, ResultEvent, encode
from larder.delivery.carried import Carrying
from larder.delivery.output import Output
from larder.operators.calls.calls import PartitionCalls
from larder.operators.calls.outside import Outside, Start
from larder.operators.owned_rows import OwnedRows
from larder.types import Attempt, GaveUp
from tests.larder.operators.contexts import context
from tests.larder.operators.memory_delivery import MemoryDelivery, Sent
from tests.larder.operators.memory_table import MemoryTable

CALLS, OUTCOMES, PAID, LETTERS = (Output(f"p.{name}", 1, 1 << 20) for name in ("calls", "outcomes", "paid", "letters"))
TRACE = ("traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
GIVEN = (TRACE, ("tenant", b"acme"), ("other", b"stays"), ("larder.cause", b"shop.carts/1/9"))
NAMES = frozenset({"traceparent", "tenant"})
MADE = ("larder.made", b"5000 one")


class Order(Row):
    order_id: str


class Paid(Row):
    order_id: str


ORDERS = EventTopic("shop.orders", Order, key="order_id")
PAID_TOPIC = EventTopic("p.paid", Paid, key="order_id")
BEGINNING = Beginning("one", "run", 5.0)


class Provider:
    """Stands for `Outside`: the calls that it is to make."""

    def __init__(self) -> None:
        self.started: list[Start] = []

    def admits(self, _: float) -> bool:
        return True

    def reserve(self, *_: Any) -> Beginning:
        return BEGINNING

    def has_begun(self, begun: Beginning) -> bool:
        return begun == BEGINNING

    def start(self, start: Start) -> None:
        self.started.append(start)

    def forget(self, call: str) -> None: ...


class Partition:
    """The calls for the events of a partition, which this worker gets again with each `assign`."""

    def __init__(self, **options: Any) -> None:
        service = Service("p")

        @service.call(ORDERS, into=PAID_TOPIC, **options)
        async def charge(_: Order, __: Attempt) -> Paid: ...

        self._call: Call = service.calls[0]
        self._delivery = MemoryDelivery(exactly_once=True)
        self.provider = Provider()
        self.assign(ORDERS.name)

    def assign(self, topic: str, *passages: str) -> None:
        """Begin an assignment: the events are in a topic, and `passages` are on their way from another one."""
        events = TopicPartition(topic, 0)
        at = context(events, self._delivery, LETTERS, service="p", operators=[self._call], clock=lambda: 5.0)
        table = MemoryTable(self._delivery.logs[TopicPartition(CALLS.topic, 0)])
        table.read(100)
        rows = OwnedRows(table.as_view(), CALLS, self._delivery.as_delivery(), 1)
        self.calls = PartitionCalls(
            replace(at, carrying=Carrying(NAMES, passages, "one")), compile_call(self._call), rows,
            {PAID.topic: PAID}, OUTCOMES, cast("Outside", self.provider), lambda: True, lambda _: None, "id",
        )  # fmt: skip
        while not self.calls.ready:
            self.calls.tick(5.0)

    def arrive(self, *headers: tuple[str, bytes | None]) -> None:
        self.calls.arrive(Sent(7, 1, b"o1", b'{"order_id":"o1"}', headers))
        self._delivery.settle()

    def end(self, **failed: Any) -> None:
        """Let the call be done; or fail, if it says how."""
        call = self.provider.started[-1].call
        done = Done(call.id, call.attempt, [ResultEvent(PAID.topic, b"o1", b'{"order_id":"o1"}')])
        outcome = Failed(call.id, call.attempt, BEGINNING, 5.0, **failed) if failed else done
        self.calls.take(Sent(0, 1, call.place, encode(outcome), ()))
        self.calls.flush()
        self._delivery.settle()

    def published(self, output: Output = PAID) -> list[tuple[str, bytes | None]]:
        (record,) = self._delivery.logs[TopicPartition(output.topic, 0)]
        return list(record.headers)


def test_a_result_has_the_headers_of_the_event_and_names_it_as_its_cause() -> None:
    partition = Partition()
    partition.arrive(*GIVEN)
    partition.end()
    assert partition.published() == [TRACE, ("tenant", b"acme"), ("larder.cause", b"shop.orders/0/7"), MADE]


def test_a_result_after_another_assignment_has_them_from_the_row_of_the_call() -> None:
    partition = Partition()
    partition.arrive(*GIVEN)
    partition.assign(ORDERS.name)
    partition.end()
    assert partition.published() == [TRACE, ("tenant", b"acme"), ("larder.cause", b"shop.orders/0/7"), MADE]


@pytest.mark.parametrize(
    ("arrived", "moved", "cause"),
    [
        ("p.orders.by-item", "p.orders.by-item", b"shop.carts/1/9"),
        ("p.orders.by-item", "p.orders.by-item.g2", b"shop.carts/1/9"),
        ("shop.orders", "p.orders.by-item.g2", b"shop.orders/0/7"),
    ],
)
def test_the_cause_is_the_event_itself_and_not_its_copy_also_once_the_service_is_scaled(
    arrived: str, moved: str, cause: bytes
) -> None:
    partition = Partition()
    passages = ("p.orders.by-item", "p.orders.by-item.g2")
    partition.assign(arrived, *passages)
    partition.arrive(*GIVEN)
    partition.assign(moved, *passages)
    partition.end()
    assert dict(partition.published())["larder.cause"] == cause


def test_what_is_published_when_a_call_is_given_up_has_them_too() -> None:
    def gave_up(order: Order, _: GaveUp) -> Paid:
        return Paid(order_id=order.order_id)

    partition = Partition(otherwise=gave_up, retry=Retry(attempts=1))
    partition.arrive(*GIVEN)
    partition.end(cause="no such card")
    assert partition.published() == [TRACE, ("tenant", b"acme"), ("larder.cause", b"shop.orders/0/7"), MADE]


def test_a_dead_letter_of_a_call_keeps_all_headers_of_the_event() -> None:
    partition = Partition(retry=Retry(attempts=1))
    partition.arrive(*GIVEN)
    partition.end(cause="no such card")
    headers = partition.published(LETTERS)
    assert headers[:3] == [*GIVEN[:3]]
    assert dict(headers)["larder.made-from"] == b"shop.carts/1/9"


def test_the_function_gets_the_headers_that_go_along_as_text() -> None:
    partition = Partition()
    partition.arrive(*GIVEN)
    assert partition.provider.started[0].headers == {"traceparent": TRACE[1].decode(), "tenant": "acme"}


def test_a_result_of_an_event_without_headers_has_none() -> None:
    partition = Partition()
    partition.arrive()
    partition.end()
    assert partition.published() == []
    assert partition.provider.started[0].headers == {}
