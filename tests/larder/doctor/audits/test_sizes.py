"""Records that are too large for their target topics."""

from __future__ import annotations

from hypothesis import given as examples
from hypothesis import strategies as st

from larder import DeadLetter, Service
from larder.delivery.output import Output
from larder.doctor.audits.sizes import RecordSizes, limits, sizes
from larder.doctor.facts import System
from larder.doctor.findings import Finding
from larder.doctor.records import ValueReader
from larder.observability.conditions import Severity
from tests.support.audited import changed, given, shop, sound

SERVICE, TOPICS = shop()
WAITING = "shipping.shop.joined.waiting"


def audit(system: System, orders: list[int], customers: list[int]) -> list[Finding]:
    """Return the findings for orders and customers of these sizes in bytes."""
    measured = {}
    for name, lengths in (("orders", orders), ("customers", customers)):
        topic = TOPICS[name]
        measured[topic.name] = RecordSizes(limits(system, topic.name))
        records = [given(offset, "c1", b"x" * length) for offset, length in enumerate(lengths)]
        measured[topic.name].take(ValueReader(topic).read(1, records))
    return list(sizes(system, measured))


def joined_takes(size: int) -> System:
    return changed(sound(SERVICE), "shop.joined", {"max.message.bytes": str(size)})


def test_orders_that_fit_with_the_largest_row_are_no_finding() -> None:
    assert not audit(joined_takes(10_000), [4_000, 10], [4_000])


def test_a_record_that_is_too_large_alone_is_an_error_with_its_place() -> None:
    (finding,) = audit(joined_takes(10_000), [10, 20_000, 30_000], [])
    assert (finding.severity, [str(place) for place in finding.samples]) == (
        Severity.ERROR,
        ["shop.orders/1/1", "shop.orders/1/2"],
    )
    assert finding.do[0].startswith("kafka-configs.sh --bootstrap-server kafka:9092 --alter --entity-type topics")
    assert "--entity-name shop.joined --add-config max.message.bytes=60" in finding.do[0]
    assert finding.do[1] == "then larder dead-letters replay shipping --cause max.message.bytes"


def test_a_record_that_is_too_large_with_the_largest_row_is_a_warning() -> None:
    (finding,) = audit(joined_takes(10_000), [6_000], [10, 6_000])
    assert finding.severity is Severity.WARNING
    assert "with the largest row of shop.customers; shop.joined takes 10,000" in finding.seen


def test_a_waiting_record_grows_by_a_third() -> None:
    system = changed(sound(SERVICE), WAITING, {"max.message.bytes": "10000"})
    assert not audit(system, [7_000], [])
    (finding,) = audit(system, [8_000], [])
    assert finding.severity is Severity.ERROR
    assert WAITING in finding.seen


def test_a_rekeyed_record_has_to_fit_into_the_internal_topic() -> None:
    service = Service("other")
    into = TOPICS["joined"]
    orders = TOPICS["orders"]
    service.join(orders.by("order_id"), service.global_table(TOPICS["customers"]).on("customer_id"), into=into,
                 missing=DeadLetter)  # fmt: skip
    rekeyed = "other.shop.orders.by.order_id"
    assert set(limits(sound(service), "shop.orders")) == {rekeyed, "shop.joined"}
    (finding,) = audit(changed(sound(service), rekeyed, {"max.message.bytes": "1000"}), [2_000], [])
    assert rekeyed in finding.seen


@examples(st.integers(1, 3_000), st.integers(1, 3_000))
def test_the_audit_and_the_worker_agree_on_records_that_are_too_large(length: int, limit: int) -> None:
    takes = Output("shop.joined", 4, limit).takes(b"c1", b"x" * length)
    errors = [each for each in audit(joined_takes(limit), [length], []) if each.severity is Severity.ERROR]
    assert bool(errors) != takes
