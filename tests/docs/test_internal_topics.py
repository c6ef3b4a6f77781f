"""The list of internal topics: a service that has all of them has just these."""

from __future__ import annotations

import re

from larder import DeadLetter, Decision, EventTopic, OwnerTopic, Row, Service, Wait
from larder.declaring.facts import TopicFacts
from larder.declaring.generations import completed, placed
from larder.declaring.topology import topics_of
from larder.types import Attempt, WakeUp
from tests.support.documents import page, table


class Customer(Row):
    customer_id: str
    revision: int


class Address(Row):
    address_id: str
    customer_id: str
    revision: int


class Label(Address):
    customer: Customer


class Call(Row):
    call_id: str
    customer_id: str


class Caller(Row):
    customer_id: str
    revision: int = 0


customers = OwnerTopic("customers", Customer, key="customer_id", revision="revision", owner="crm")
addresses = OwnerTopic("addresses", Address, key="address_id", revision="revision", owner="crm")
labels = OwnerTopic("labels", Label, key="address_id", revision="revision")
calls = EventTopic("calls", Call, key="call_id")
callers = OwnerTopic("callers", Caller, key="customer_id", revision="revision", owner="desk")

desk = Service("desk", partitions=12)
desk.join(addresses.by("customer_id"), desk.table(customers), into=labels, missing=Wait(seconds=1).then(DeadLetter))


@desk.decide(calls.by("customer_id"), state=desk.table(callers))
def call(event: Call | WakeUp, caller: Caller | None) -> Decision | None:
    return None if isinstance(event, WakeUp) or caller else Decision(rows=Caller(customer_id=event.customer_id))


@desk.call(calls.by("customer_id"))
async def dial(event: Call, attempt: Attempt) -> None:
    """Call nobody."""


def test_the_internal_topics_are_those_of_the_program() -> None:
    listed = {
        re.sub(r"<\w+>", "[a-z._-]+", re.escape(row[0].strip("`"))): "compacted" in row[1]
        for row in table(page("reference/topics-and-headers"), "topic")
    }
    four = {name: TopicFacts(4, "compact", 1_000_000, "id") for name in ("customers", "callers")}
    found = {use.name: use.compacted for use in topics_of(placed(desk, completed(desk, four))) if use.internal}
    matches = {(pattern, name) for pattern in listed for name in found if re.fullmatch(pattern, name)}
    assert {pattern for pattern, _ in matches} == set(listed)
    assert {name for _, name in matches} == set(found)
    for pattern, name in matches:
        assert listed[pattern] or not found[name], name
