"""Headers that go along from a record to what is made from it."""

from __future__ import annotations

import pytest

from larder.counters.left_out_headers import LeftOutHeaders
from larder.declaring.dead_letters import MOVED
from larder.declaring.records import PlainRecord
from larder.delivery.carried import CarriedHeaders, Carrying
from larder.delivery.output import Headers

TRACE = ("traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
MADE = ("larder.made", b"12500 one")
CARRYING = Carrying(frozenset({"traceparent", "tenant"}), {"s.orders.by-item"}, "one")


def carried(topic: str = "orders", left_out: LeftOutHeaders | None = None) -> CarriedHeaders:
    return CarriedHeaders(CARRYING, topic, 2, left_out or LeftOutHeaders(), lambda: 12.5)


def record(*headers: tuple[str, bytes | None], offset: int = 7) -> PlainRecord:
    return PlainRecord(offset, 1000, b"k", b"{}", headers)


def test_only_declared_headers_and_the_trace_go_along() -> None:
    found = carried().of(record(("tenant", b"a"), ("other", b"b"), ("larder.revision", b"3"), ("tenant", None)))
    assert found == [("tenant", b"a"), ("tenant", None)]


def test_a_record_with_a_trace_is_named_as_the_cause_with_the_time_and_the_worker() -> None:
    assert carried().of(record(TRACE, ("larder.cause", b"forged"))) == [TRACE, ("larder.cause", b"orders/2/7"), MADE]


def test_records_without_headers_cost_no_column() -> None:
    assert carried().of_all([record(), record()]) is None
    assert carried().all_passed_on([record(), record()]) is None
    assert carried().of_all([record(), record(("tenant", b"a"))]) == [[], [("tenant", b"a")]]


def test_a_record_on_its_way_names_the_record_of_the_other_topic() -> None:
    passed = record(*carried().passed_on(record(TRACE, ("other", b"b"))), offset=99)
    assert passed.headers == (TRACE, ("other", b"b"), ("larder.cause", b"orders/2/7"))
    assert carried("s.orders.by-item").of(passed) == [TRACE, ("larder.cause", b"orders/2/7"), MADE]


def test_what_is_asked_outside_gets_the_headers_that_go_along_if_they_are_text() -> None:
    given = record(TRACE, ("tenant", b"a"), ("other", b"b"), ("larder.cause", b"carts/0/1"))
    assert carried().outside(given) == {"traceparent": TRACE[1].decode(), "tenant": "a"}
    for value in (None, b"a\r\nHost: evil", b"\xff", b"x" * 4096):
        assert carried().outside(record(("tenant", value))) == {}
    assert carried().outside(record(("traceparent", b"no trace"))) == {}
    assert carried().outside(record()) == {}


def test_a_record_that_is_passed_on_keeps_all_its_headers() -> None:
    assert carried().passed_on(record(("larder.revision", b"3"))) == [("larder.revision", b"3")]


def test_a_replayed_record_names_the_one_that_failed() -> None:
    replayed = record(TRACE, ("larder.replayed", b"shop.orders/0/4"), offset=MOVED + 1)
    assert carried().of(replayed) == [TRACE, ("larder.cause", b"shop.orders/0/4"), MADE]


def test_what_is_made_later_keeps_its_cause_and_says_when_and_by_whom_it_is_made() -> None:
    before: Headers = [TRACE, ("larder.cause", b"orders/2/7"), ("larder.made", b"1 zero")]
    assert carried().again(before) == [TRACE, ("larder.cause", b"orders/2/7"), MADE]
    assert carried().again([("tenant", b"a")]) == [("tenant", b"a")]


def test_headers_that_are_too_large_together_are_left_out_counted_and_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    left_out = LeftOutHeaders()
    for _ in range(3):
        assert carried(left_out=left_out).of(record(TRACE, ("tenant", b"x" * 4096))) == []
    assert carried(left_out=left_out).of(record(("tenant", b"x" * 4000))) == [("tenant", b"x" * 4000)]
    assert sum(left_out.counts.values()) == 3
    assert caplog.text.count("topic orders: a record goes on without its carried headers") == 1
