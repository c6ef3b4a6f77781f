"""Headers that go along, in runs without a broker; `test_driver_and_worker.py` compares them with those of a worker."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest

from larder.declaring.service import Service
from larder.testing import Driver, MemoryRecord
from tests.cluster.driven_examples import SERVICE, Asked, Input, example
from tests.larder.testing.rentals import NOON, RESERVE, Delivered, Product, delivered, priced, products, rentals, stock
from tests.support.modules import imported
from tests.support.topics import encoded

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRACED = ("traceparent", TRACE.encode())
OUTPUTS = ("passed", "patient", "hasty", "priced", "labels", "spent", "mails", "thanks", "renamed", "refusals")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Service:
    found: Service = imported(SERVICE.replace("{prefix}", "all"), tmp_path_factory.mktemp("all")).service
    return found


def published(service: Service, steps: list[Input | Asked], *, headers: bool) -> list[object]:
    """Return what the service publishes and answers, without the headers that go along."""
    driver = Driver(service, now=datetime(2026, 1, 1, tzinfo=UTC))
    found: list[object] = []
    for step in steps:
        given = step.headers if headers else [each for each in step.headers if each[0].startswith("larder.")]
        if isinstance(step, Asked):
            texts = {name: value.decode() for name, value in given if value is not None}
            found.append(driver.request(step.address, encoded(step.body), once=step.once, headers=texts))
        else:
            driver.send(f"all.{step.topic}", encoded(step.value), key=step.key.encode(), headers=given)
        driver.advance(seconds=1)
    found += [_effect(topic, record) for topic in OUTPUTS for record in driver.read(f"all.{topic}")]
    return found + [(letter.topic, letter.offset, letter.cause) for letter in driver.dead_letters()]


def _effect(topic: str, record: MemoryRecord) -> tuple[object, ...]:
    revision = [header for header in record.headers if header[0] == "larder.revision"]
    return topic, record.key, record.value, record.timestamp, revision


@pytest.mark.parametrize("seed", range(40))
def test_headers_never_change_what_a_service_publishes(service: Service, seed: int) -> None:
    # The wake-ups of an example are relative to now.
    steps = list(example(random.Random(seed), "e0", 25))  # noqa: S311 - nothing is secret here
    assert published(service, steps, headers=True) == published(service, steps, headers=False)


def test_a_request_passes_on_its_trace_and_nothing_that_is_not_declared() -> None:
    with Driver(rentals(), now=NOON) as driver:
        driver.send(delivered, Delivered(item="ring", amount=5))
        driver.send(products, Product(item="ring", price=1))
        driver.read(stock)
        headers = {"Traceparent": TRACE, "larder.cause": "a/0/1", "tenant": "acme"}
        assert driver.request(RESERVE, {"item": "ring", "amount": 2}, headers=headers).status == 200
        made = ("larder.made", b"1767268800000 driver")
        assert driver.read(stock)[0].headers == (TRACED, made)
        assert driver.read(priced)[0].headers == (TRACED, ("larder.cause", b"reserved/0/0"), made)
        driver.request(RESERVE, {"item": "ring"}, headers={"traceparent": "no trace"})
        assert driver.read(stock)[0].headers == ()


def test_what_a_wake_up_causes_has_the_headers_of_the_decision_that_set_it() -> None:
    with Driver(rentals(), now=NOON) as driver:
        driver.request(RESERVE, {"item": "ring", "minutes": 10}, headers={"traceparent": TRACE})
        driver.read(stock)
        driver.advance(minutes=11)
        (released,) = driver.read(stock)
        assert released.headers[0] == TRACED
        assert dict(released.headers)["larder.made"] == b"1767269400000 driver"


def traced(number: int) -> tuple[tuple[str, bytes], ...]:
    return (("traceparent", b"00-%032x-%016x-01" % (number, 1)), ("tenant", b"t%d" % number), ("other", b"stays"))


def test_every_operator_carries_headers_to_what_it_makes(service: Service) -> None:
    """Names of causes are those of the topics that the test and the service write, not of internal ones."""
    customer = {"customer_id": "c1", "name": "Ada", "revision": 1}
    with Driver(service) as driver:
        driver.send("all.products", {"product_id": "p1", "price": 1})
        driver.send("all.orders", {"order_id": "o1", "customer_id": "c1", "product_id": "p1"}, headers=traced(1))
        driver.advance(seconds=1)
        (letter,) = driver.dead_letters()
        assert dict(letter.record.headers)["tenant"] == b"t1", "the wait of hasty is over"
        driver.send("all.customers", customer, headers=traced(2))
        made = {topic: [dict(each.headers) for each in driver.read(f"all.{topic}")] for topic in OUTPUTS}
        driver.send("all.addresses", {"address_id": "a1", "customer_id": "c1", "revision": 3}, headers=traced(3))
        driver.send("all.addresses", None, key="a1", headers=(("larder.revision", b"4"), *traced(4)))
        label, deletion = ({**dict(each.headers)} for each in driver.read("all.labels"))
        driver.send("all.orders", {"order_id": "o2", "customer_id": "c1", "product_id": "none"}, headers=traced(5))
        (refusal,) = (dict(each.headers) for each in driver.read("all.refusals"))
        driver.advance(seconds=1)
        driver.dead_letters()
    causes = {
        "passed": ["all.orders/0/0"], "patient": ["all.orders/0/0"], "hasty": [], "priced": ["all.orders/0/0"],
        "spent": ["all.orders/0/0"], "thanks": ["all.orders/0/0"], "renamed": ["all.customers/0/0"],
        "mails": ["all.thanks/0/0", "all.renamed/0/0"], "labels": [], "refusals": [],
    }  # fmt: skip
    assert {topic: [each["larder.cause"].decode() for each in found] for topic, found in made.items()} == causes
    tenants = {topic: [each["tenant"] for each in found] for topic, found in made.items()}
    assert (tenants["patient"], tenants["renamed"], tenants["mails"]) == ([b"t1"], [b"t2"], [b"t1", b"t2"])
    found = [(each["tenant"], each["larder.cause"]) for each in (label, deletion, refusal)]
    assert found == [(b"t3", b"all.addresses/0/0"), (b"t4", b"all.addresses/0/1"), (b"t5", b"all.orders/0/1")]
    assert all("other" not in each for each in (*made["passed"], label, deletion, refusal))
