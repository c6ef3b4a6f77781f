"""The story of an order over several services, from the traces that real workers carry along."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.beside import Beside
from tests.support.described import require_described
from tests.support.topics import Sent, create, read, send, until, until_count
from tests.support.workers import Worker, larder, running

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"

MODULE = """
from larder import Decision, EventTopic, OwnerTopic, Row, Service, Wait, DeadLetter
from larder.types import Attempt


class Customer(Row):
    customer_id: str
    name: str


class Order(Row):
    order_id: str
    customer_id: str


class Fulfilment(Row):
    order_id: str
    customer_id: str
    customer: Customer


class Shipment(Row):
    order_id: str
    state: str
    revision: int = 0


class Packed(Row):
    parcel_id: str
    order_id: str


class Send(Row):
    order_id: str


class Announced(Row):
    order_id: str
    headers: dict[str, str]


customers_topic = OwnerTopic("{prefix}.customers", Customer, key="customer_id", owner="crm", partitions=4)
orders = EventTopic("{prefix}.orders", Order, key="order_id", owner="shop", partitions=4)
fulfilments = EventTopic("{prefix}.fulfilments", Fulfilment, key="order_id", partitions=4)
shipments_topic = OwnerTopic("{prefix}.shipments", Shipment, key="order_id", revision="revision", partitions=4)
packed = EventTopic("{prefix}.packed", Packed, key="parcel_id", partitions=4)
announced = EventTopic("{prefix}.announced", Announced, key="order_id", partitions=4)

fulfilment = Service("{prefix}-fulfilment", headers=["tenant"])
customers = fulfilment.table(customers_topic)
fulfilment.join(
    orders.by("customer_id"), customers, into=fulfilments, missing=Wait(seconds={wait}).then(DeadLetter)
)

shipping = Service("{prefix}-shipping", headers=["tenant"])
shipments = shipping.table(shipments_topic)


@shipping.decide(fulfilments, state=shipments, into=packed)
def pack(fulfilment: Fulfilment, shipment: Shipment | None) -> Decision:
    row = Shipment(order_id=fulfilment.order_id, state="packed")
    return Decision(row, emit=Packed(parcel_id="p-" + fulfilment.order_id, order_id=fulfilment.order_id))


@shipping.call(packed.by("order_id"), into=announced)
async def announce(packed: Packed, attempt: Attempt) -> Announced:
    return Announced(order_id=packed.order_id, headers=dict(attempt.headers))


@shipping.request("POST /shipments/{order_id}/send", state=shipments)
def dispatch(request: Send, shipment: Shipment | None) -> Decision:
    if shipment is None or shipment.state == "sent":
        return Decision(refuse="nothing is packed")
    return Decision(Shipment(order_id=request.order_id, state="sent"))
"""


class Town:
    """The topics and the two services; `prefix` begins all their names."""

    def __init__(self, kafka: str, prefix: str, directory: Path, beside: Beside, wait: int = 60) -> None:
        self.kafka = kafka
        self.prefix = prefix
        self.directory = directory
        self.beside = beside
        self.module = MODULE.replace("{prefix}", prefix).replace("{wait}", str(wait))
        self.beside.call(create(kafka, {f"{prefix}.customers": 4}, {"cleanup.policy": "compact"}))
        self.beside.call(create(kafka, {f"{prefix}.orders": 4}))

    def worker(self, service: str, name: str) -> Worker:
        return Worker(self.kafka, self.directory, self.module, f"{self.prefix}-{service}", name)

    def order(self, order: str, headers: list[tuple[str, bytes | None]]) -> None:
        sent = Sent(order, {"order_id": order, "customer_id": "ada"}, headers=headers)
        self.beside.call(send(self.kafka, f"{self.prefix}.orders", [sent]))

    def arrive(self) -> None:
        """Let the customer arrive, for whom orders wait."""
        row = {"customer_id": "ada", "name": "Ada"}
        self.beside.call(send(self.kafka, f"{self.prefix}.customers", [("ada", row)]))

    def larder(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        """Run a command, and return its JSON."""
        ended = larder(*arguments, "--json", kafka=self.kafka, directory=self.directory, module=self.module)
        assert ended.returncode == code, ended.stdout + ended.stderr
        found: dict[str, Any] = json.loads(ended.stdout)
        return found

    def trace(self, key: str, *options: str, code: int = 0) -> dict[str, Any]:
        return self.larder("trace", key, *options, code=code)

    def until_announced(self) -> None:
        """Wait for the last record that an order leads to without a request."""
        self.beside.call(until_count(self.kafka, f"{self.prefix}.announced", 1))

    def values(self, topic: str) -> list[dict[str, Any]]:
        return [json.loads(each.value) for each in self.beside.call(read(self.kafka, f"{self.prefix}.{topic}"))]

    def headers(self, topic: str) -> list[dict[str, bytes]]:
        return [dict(each.headers) for each in self.beside.call(read(self.kafka, f"{self.prefix}.{topic}"))]


@pytest.fixture
def town(kafka: str, prefix: str, beside: Beside, tmp_path: Path) -> Town:
    return Town(kafka, prefix, tmp_path, beside)


def _waiting(status: dict[str, Any]) -> int:
    return sum(each["waiting"] for each in status["joins"])


@pytest.mark.scenario("3.6")
def test_a_story_goes_on_through_join_decide_call_and_request_and_a_killed_worker(town: Town) -> None:
    one, two, shipping = (
        town.worker("fulfilment", "one"),
        town.worker("fulfilment", "two"),
        town.worker("shipping", "s"),
    )
    with running(one, shipping):
        one.until_caught_up()
        town.order("o1", [("traceparent", PARENT.encode()), ("tenant", b"acme"), ("other", b"stays")])
        one.until(lambda status: _waiting(status) == 1, what="a waiting order")
        one.kill()
        with running(two):
            two.until(lambda status: _waiting(status) == 1, what="the waiting order on the new worker")
            town.arrive()
            town.until_announced()
            assert shipping.post("/shipments/o1/send", {}, {"traceparent": PARENT, "tenant": "acme"})[0] == 200
            refused, _ = shipping.post("/shipments/o1/send", {}, {"traceparent": PARENT, "larder.cause": "x/0/1"})
            assert refused == 409
            story, (status, told) = town.trace("o1"), shipping.get("/trace?key=o1&since=10m") or (0, {})
            assert (status, told["steps"]) == (200, story["steps"]), "any worker tells the same story"
            require_described("/trace", status, "application/json", told, {})
            assert "Trace of <code>o1</code>" in shipping.page("/trace?key=o1")
    name = town.prefix
    assert (story["traces"], story["whole"], story["missing_topics"]) == ([TRACE], True, [])
    steps = [(each["topic"].removeprefix(name), each["worker"], each["kind"], each["key"]) for each in story["steps"]]
    assert steps[:2] == [(".orders", None, "record", "o1"), (".fulfilments", "two", "record", "o1")]
    assert sorted(steps[2:4]) == [(".packed", "s", "record", "p-o1"), (".shipments", "s", "record", "o1")]
    assert steps[4:] == [
        (".announced", "s", "record", "o1"),
        (".shipments", "s", "record", "o1"),
        ("-shipping.refusals", "s", "refusal", "o1"),
    ]
    order, fulfilled, *decided, announced, sent, refusal = story["steps"]
    assert (order["service"], fulfilled["service"], sent["service"]) == (
        "shop",
        f"{name}-fulfilment",
        f"{name}-shipping",
    )
    assert fulfilled["cause"] == order["id"], "the order itself, not its copy in the internal topic"
    assert {each["cause"] for each in decided} == {fulfilled["id"]}
    assert announced["cause"] == next(each["id"] for each in decided if each["key"] == "p-o1")
    assert (sent["cause"], refusal["cause"], refusal["note"]) == (None, None, "nothing is packed")
    assert all(each["latency_ms"] >= 0 for each in [fulfilled, *decided, announced])
    assert [each["after_ms"] for each in story["steps"]] == sorted(each["after_ms"] for each in story["steps"])
    for topic in ("fulfilments", "packed", "announced"):
        (found,) = town.headers(topic)
        assert (found["tenant"], found["traceparent"]) == (b"acme", PARENT.encode())
        assert "other" not in found
    (told,) = town.values("announced")
    assert told["headers"] == {"traceparent": PARENT, "tenant": "acme"}, "the call gets them"


def test_a_story_without_a_trace_has_the_records_of_its_key_only_and_says_so(town: Town) -> None:
    town.arrive()
    with running(town.worker("fulfilment", "one"), town.worker("shipping", "s")):
        town.order("o1", [("tenant", b"acme")])
        town.until_announced()
    story = town.trace("o1")
    assert sorted(each["topic"].removeprefix(town.prefix) for each in story["steps"]) == [
        ".announced", ".fulfilments", ".orders", ".shipments",
    ]  # fmt: skip
    assert (story["traces"], [each["cause"] for each in story["steps"]]) == ([], [None] * 4)
    assert town.headers("packed")[0].get("tenant") == b"acme"
    ended = larder("trace", "o1", kafka=town.kafka, directory=town.directory, module=town.module)
    assert "no record has a trace (the header traceparent)" in ended.stdout
    assert town.trace("nobody", code=1)["steps"] == []
    assert "requires a since that is before until" in str(town.trace("o1", "--since", "1m", "--until", "2h", code=2))


def test_a_dead_letter_and_its_replay_are_part_of_the_story(
    kafka: str, prefix: str, beside: Beside, tmp_path: Path
) -> None:
    town = Town(kafka, prefix, tmp_path, beside, wait=1)
    with running(town.worker("fulfilment", "one"), town.worker("shipping", "s")):
        town.order("o1", [("traceparent", PARENT.encode())])
        letters = f"{prefix}-fulfilment.dead-letters"
        (letter,) = beside.call(until(lambda: _all(kafka, letters), 60, "a dead letter"))
        order, dead = town.trace("o1")["steps"]
        assert (dead["kind"], dead["cause"], dead["topic"]) == ("dead letter", order["id"], letters)
        assert dead["note"] == f"{prefix}.customers has no row 'ada'"
        town.arrive()
        town.larder("dead-letters", "replay", f"{prefix}-fulfilment", letter.key.decode())
        town.until_announced()
    found = {each["topic"].removeprefix(prefix): each for each in town.trace("o1")["steps"]}
    assert found[".fulfilments"]["cause"] == order["id"]


async def _all(kafka: str, topic: str) -> list[Any]:
    return await read(kafka, topic)
