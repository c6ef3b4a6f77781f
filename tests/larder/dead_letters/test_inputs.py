"""Where the step of a letter is today, in a service that was scaled since, or not."""

from __future__ import annotations

import pytest

from larder import EventTopic, OwnerTopic, Row, Service
from larder.dead_letters.inputs import Inputs
from larder.dead_letters.letters import Letter, LetterPlace
from larder.declaring.coordinates import Coordinates
from larder.declaring.generations import Generation, placed
from larder.kafka.partitioner import partition_of


class Customer(Row):
    customer_id: str
    calls: int = 0
    revision: int = 0


class Call(Row):
    call_id: str
    customer_id: str


class Region(Row):
    region_id: str


customers = OwnerTopic("customers", Customer, key="customer_id", owner="crm")
calls = EventTopic("calls", Call, key="customer_id")
orders = EventTopic("orders", Call, key="call_id")
service = Service("s")
people = service.table(customers)
anywhere = service.global_table(OwnerTopic("regions", Region, key="region_id"))
service.join(calls, people, into=EventTopic("answered", Call, key="call_id"))
service.join(orders.by("customer_id"), people, into=EventTopic("joined", Call, key="call_id"))
service.join(orders, anywhere.on("call_id"), into=EventTopic("placed", Call, key="call_id"))
counts = service.table(OwnerTopic("counts", Customer, key="customer_id", revision="revision"))


@service.fold([calls, orders.by("customer_id")], state=counts)
def count(call: Call, row: Customer | None) -> Customer:  # noqa: ARG001 - only declared
    return Customer(customer_id=call.customer_id)


COUNTS = dict.fromkeys(("customers", "calls", "counts", "s.orders.by.customer_id"), 4)
FIRST = Generation(1, COUNTS, dict.fromkeys(COUNTS, "id"))
ADA = b'{"call_id": "1", "customer_id": "ada"}'


def at(number: int) -> Inputs:
    return Inputs(placed(service, FIRST if number == 1 else FIRST.of_number(number)))


def letter(topic: str, step: str, value: bytes | None = ADA, partition: int = 3) -> Letter:
    id_, place = Coordinates(topic, partition, 17), LetterPlace(0, 0, 0)
    return Letter(id_, "s", 1, "no row", b"other", value, [], None, place, step)


STEPS = [
    ("calls", "join answered"),
    ("calls", "decide counts"),
    ("s.orders.by.customer_id", "join joined"),
    ("s.orders.by.customer_id", "decide counts"),
    ("orders", "join placed"),
    ("orders", "by customer_id"),
]


@pytest.mark.parametrize(("topic", "step"), STEPS)
def test_a_record_keeps_its_partition_while_its_input_is_the_same(topic: str, step: str) -> None:
    assert at(1).of(letter(topic, step)) == (topic, None)


@pytest.mark.parametrize("number", [2, 3])
@pytest.mark.parametrize(
    ("topic", "step", "today"),
    [
        ("calls", "join answered", "s.calls.by.customer_id"),
        ("calls", "decide counts", "s.calls.by.customer_id"),
        ("s.orders.by.customer_id", "join joined", "s.orders.by.customer_id"),
        ("s.orders.by.customer_id", "decide counts", "s.orders.by.customer_id"),
    ],
)
def test_a_record_goes_to_the_partition_of_its_key_in_the_input_that_has_its_step_today(
    topic: str, step: str, today: str, number: int
) -> None:
    found = at(number).of(letter(topic, step))
    assert found is not None
    assert found.topic == f"{today}.g{number}"
    assert found.partition_of is not None
    assert found.partition_of(letter(topic, step), 6) == partition_of(b"ada", 6)
    assert found.partition_of(letter(topic, step), 7) == partition_of(b"ada", 7)


def test_a_record_of_the_generation_before_goes_to_that_of_today() -> None:
    found = at(3).of(letter("s.calls.by.customer_id.g2", "join answered"))
    assert found is not None
    assert found.topic == "s.calls.by.customer_id.g3"


@pytest.mark.parametrize("value", [None, b"{", b"{}", b'{"call_id": "1", "customer_id": null}'])
def test_a_record_without_its_key_goes_to_any_partition(value: bytes | None) -> None:
    found = at(2).of(letter("calls", "join answered"))
    assert found is not None
    assert found.partition_of is not None
    assert found.partition_of(letter("calls", "join answered", value, partition=9), 6) == 3


@pytest.mark.parametrize(("topic", "step"), [("orders", "join placed"), ("orders", "by customer_id")])
def test_a_step_that_needs_no_partition_stays_where_it_is(topic: str, step: str) -> None:
    assert at(2).of(letter(topic, step)) == (topic, None)


@pytest.mark.parametrize(
    ("topic", "step"),
    [
        ("calls", "join nobody"),
        ("calls", "join joined"),
        ("orders", "join joined"),
        ("s.orders.by.customer_id", "join answered"),
        ("s.orders.by.customer_id.g3", "join joined"),
        ("s.orders.by.other", "join joined"),
        ("s.calls.replays", "join answered"),
    ],
)
def test_a_step_that_no_input_of_the_record_has_is_nowhere(topic: str, step: str) -> None:
    assert at(2).of(letter(topic, step)) is None


@pytest.mark.parametrize(
    ("topic", "number", "forsaken"),
    [
        ("s.orders.by.customer_id", 1, False),
        ("s.orders.by.customer_id", 2, True),
        ("s.orders.by.customer_id.replays", 2, True),
        ("s.orders.by.customer_id.g2", 2, False),
        ("s.orders.by.customer_id.g2.replays", 3, True),
        ("calls", 2, False),
        ("orders", 2, False),
    ],
)
def test_own_topics_of_earlier_generations_are_read_by_nobody(topic: str, number: int, *, forsaken: bool) -> None:
    assert at(number).forsaken(topic) is forsaken
