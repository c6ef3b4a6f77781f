"""A driver makes calls one at a time, as workers do."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from larder import EventTopic, OwnerTopic, Retry, Row, Service, Unavailable
from larder.testing import Driver, run_in_memory
from larder.testing.driver import START
from larder.types import Attempt, GaveUp


class Order(Row):
    order_id: str
    customer: str = "ada"


class Paid(Row):
    order_id: str
    attempt: int


class NotPaid(Row):
    order_id: str
    reason: str
    attempts: int


class Account(Row):
    customer: str
    open: bool


ORDERS = EventTopic("shop.orders", Order, key="order_id")
PAID = EventTopic("shop.paid", Paid, key="order_id")
NOT_PAID = EventTopic("shop.not-paid", NotPaid, key="order_id")
ACCOUNTS = OwnerTopic("shop.accounts", Account, key="customer")


class Outside:
    """The other side: answers each attempt by the next of its `answers`, and the last one for ever."""

    def __init__(self, *answers: BaseException | None) -> None:
        self.answers = list(answers)
        self.seen: list[Attempt] = []

    def answer(self, attempt: Attempt) -> None:
        self.seen.append(attempt)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is not None:
            raise answer


def gave_up(order: Order, why: GaveUp) -> NotPaid:
    return NotPaid(order_id=order.order_id, reason=why.reason, attempts=why.attempts)


def paying(outside: Outside, **options: Any) -> Service:
    service = Service("payments")
    settings = {
        "key": lambda order: order.order_id,
        "retry": Retry(first=1, most=60, within=600, attempts=3),
        **options,
    }
    if settings.pop("open_accounts", False):
        settings["only_while"] = service.table(ACCOUNTS), lambda row: row.open
        source: Any = ORDERS.by("customer")
    else:
        source = ORDERS

    @service.call(source, into=[PAID, NOT_PAID], **settings)
    async def charge(order: Order, attempt: Attempt) -> Paid:
        outside.answer(attempt)
        return Paid(order_id=order.order_id, attempt=attempt.number)

    return service


def test_a_call_is_made_for_each_event_and_its_result_is_published() -> None:
    outside = Outside(None)
    with Driver(paying(outside)) as driver:
        driver.send(ORDERS, Order(order_id="o1"))
        driver.send(ORDERS, Order(order_id="o2"))
        assert [each.order_id for each in driver.read_rows(PAID)] == ["o1", "o2"]
    assert [each.key for each in outside.seen] == ["o1", "o2"]


def test_a_call_that_fails_is_tried_again_with_the_same_key_after_a_pause() -> None:
    outside = Outside(Unavailable("down"), None)
    with Driver(paying(outside)) as driver:
        driver.send(ORDERS, Order(order_id="o1"))
        assert driver.read(PAID) == []
        driver.advance(seconds=1)
        assert [each.attempt for each in driver.read_rows(PAID)] == [2]
    assert outside.seen == [Attempt("o1", 1), Attempt("o1", 2)]


def test_an_outage_is_retried_until_the_time_is_over() -> None:
    outside = Outside(ConnectionError("refused"))
    with Driver(paying(outside, otherwise=gave_up)) as driver:
        driver.send(ORDERS, Order(order_id="o1"))
        driver.advance(seconds=599)
        assert driver.read(NOT_PAID) == []
        driver.advance(seconds=2)
        (found,) = driver.read_rows(NOT_PAID)
    assert found == NotPaid(order_id="o1", reason="ConnectionError: refused", attempts=len(outside.seen))
    assert len(outside.seen) > 10


def test_a_failure_of_the_event_itself_is_retried_a_few_times_only() -> None:
    outside = Outside(ValueError("no such card"))
    with Driver(paying(outside)) as driver:
        driver.send(ORDERS, Order(order_id="o1"))
        driver.advance(minutes=5)
        (letter,) = driver.dead_letters()
    assert letter.cause == "ValueError: no such card"
    assert len(outside.seen) == 3


def test_events_of_a_key_wait_for_each_other_and_others_pass() -> None:
    outside = Outside(Unavailable("down"), None)
    service = paying(outside)
    with Driver(service) as driver:
        driver.send(ORDERS, Order(order_id="o1"))
        driver.send(ORDERS, Order(order_id="o1"))
        driver.send(ORDERS, Order(order_id="o2"))
        assert [each.order_id for each in driver.read_rows(PAID)] == ["o2"]
        driver.advance(seconds=1)
        assert [each.order_id for each in driver.read_rows(PAID)] == ["o1", "o1"]


@pytest.mark.parametrize(
    ("options", "at_once", "later"),
    [({}, [], ["first", "second"]), ({"ordered": False}, ["second"], ["first"])],
    ids=["ordered", "not ordered"],
)
def test_a_later_event_of_a_key_passes_a_first_one_that_waits_only_if_calls_are_not_ordered(
    options: dict[str, bool], at_once: list[str], later: list[str]
) -> None:
    outside = Outside(Unavailable("down"), None)
    with Driver(paying(outside, open_accounts=True, **options)) as driver:
        driver.send(ACCOUNTS, Account(customer="ada", open=True))
        driver.send(ORDERS, Order(order_id="first"))
        driver.send(ORDERS, Order(order_id="second"))
        assert [each.order_id for each in driver.read_rows(PAID)] == at_once
        driver.advance(seconds=1)
        assert [each.order_id for each in driver.read_rows(PAID)] == later
    assert [each.key for each in outside.seen] == ["first", *at_once, *later]


def test_a_call_waits_until_its_row_allows_it() -> None:
    outside = Outside(None)
    with Driver(paying(outside, open_accounts=True)) as driver:
        driver.send(ORDERS, Order(order_id="o1"))
        driver.send(ACCOUNTS, Account(customer="ada", open=False))
        driver.advance(seconds=30)
        assert outside.seen == []
        driver.send(ACCOUNTS, Account(customer="ada", open=True))
        driver.advance(seconds=1)
        assert [each.order_id for each in driver.read_rows(PAID)] == ["o1"]


@pytest.mark.parametrize("told", [True, False])
def test_a_call_whose_row_never_allows_it_is_dropped_or_given_up(*, told: bool) -> None:
    outside = Outside(None)
    with Driver(paying(outside, open_accounts=True, otherwise=gave_up if told else None)) as driver:
        driver.send(ORDERS, Order(order_id="o1"))
        driver.advance(seconds=601)
        found = driver.read_rows(NOT_PAID)
    assert [each.reason for each in found] == ["its row did not satisfy only_while within 600 s"] * told
    assert outside.seen == []


async def test_a_call_runs_also_in_a_test_with_an_event_loop() -> None:
    with Driver(paying(Outside(None))) as driver:
        driver.send(ORDERS, Order(order_id="o1"))
        assert len(driver.read(PAID)) == 1


def test_a_result_that_cannot_be_published_is_a_dead_letter_and_not_called_again() -> None:
    calls: list[Attempt] = []
    service = Service("payments")

    @service.call(ORDERS, into=PAID)
    async def charge(_: Order, attempt: Attempt) -> Any:
        calls.append(attempt)
        return Account(customer="ada", open=True)

    with Driver(service) as driver:
        driver.send(ORDERS, Order(order_id="o1"))
        driver.advance(hours=1)
        (letter,) = driver.dead_letters()
    assert "must emit Paid" in letter.cause
    assert [each.number for each in calls] == [1]


def test_a_run_over_lists_calls_once_and_does_not_wait() -> None:
    outside = Outside(None, Unavailable("down"))
    result = run_in_memory(paying(outside, otherwise=gave_up), {ORDERS: [Order(order_id="o1"), Order(order_id="o2")]})
    assert [each.row.order_id for each in result[PAID]] == ["o1"]
    assert [each.row.reason for each in result[NOT_PAID]] == ["Unavailable: down"]


def test_the_clock_of_a_driver_decides_when_a_call_is_tried_again() -> None:
    outside = Outside(Unavailable("down"), None)
    with Driver(paying(outside, retry=Retry(first=3600, most=3600, within=86400))) as driver:
        driver.send(ORDERS, Order(order_id="o1"))
        driver.advance_to(START + timedelta(minutes=29))
        assert driver.read(PAID) == []
        driver.advance_to(START + timedelta(minutes=61))
        assert len(driver.read(PAID)) == 1


TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRACED = (("traceparent", TRACE.encode()), ("other", b"stays"))


@pytest.mark.parametrize("by_customer", [True, False])
def test_a_call_and_its_result_have_the_headers_of_the_event(*, by_customer: bool) -> None:
    outside = Outside(None)
    with Driver(paying(outside, open_accounts=by_customer)) as driver:
        driver.send(ACCOUNTS, Account(customer="ada", open=True)) if by_customer else None
        driver.send(ORDERS, Order(order_id="o1"), headers=TRACED)
        (found,) = driver.read(PAID)
    assert found.headers == (TRACED[0], ("larder.cause", b"shop.orders/0/0"), ("larder.made", b"946684800000 driver"))
    assert [each.headers for each in outside.seen] == [{"traceparent": TRACE}]


def test_what_a_call_says_when_it_is_given_up_and_its_dead_letter_have_the_headers_of_the_event() -> None:
    for told in (True, False):
        outside = Outside(ValueError("no such card"))
        with Driver(paying(outside, otherwise=gave_up if told else None)) as driver:
            driver.send(ORDERS, Order(order_id="o1"), headers=TRACED)
            driver.advance(minutes=5)
            found = driver.read(NOT_PAID) if told else [each.record for each in driver.dead_letters()]
        assert [dict(each.headers)["traceparent"] for each in found] == [TRACE.encode()]
        assert ("other", b"stays") in found[0].headers or told
        assert [each.headers["traceparent"] for each in outside.seen] == [TRACE] * 3


def test_a_call_reads_rows_of_another_service_that_a_test_gives() -> None:
    shop, mailing = Service("shop", context="sales"), Service("mailing", context="sales")
    accounts = shop.table(ACCOUNTS)
    seen: list[Account | None] = []

    @mailing.call(ORDERS, into=PAID, reads=[accounts.remote()])
    async def charge(order: Order, attempt: Attempt) -> None:
        seen.append(await attempt.get(accounts, order.customer))

    with Driver(mailing) as driver:
        driver.send(ORDERS, Order(order_id="o1"))
        driver.send(ACCOUNTS, Account(customer="ada", open=True))
        driver.send(ORDERS, Order(order_id="o2"))
    run_in_memory(mailing, {ACCOUNTS: [Account(customer="ada", open=False)], ORDERS: [Order(order_id="o3")]})
    assert seen == [None, Account(customer="ada", open=True), Account(customer="ada", open=False)]


def test_a_call_reads_only_what_it_declares() -> None:
    service, shop = Service("mailing", context="sales"), Service("shop", context="sales")
    accounts = shop.table(ACCOUNTS)

    @service.call(ORDERS, into=PAID, retry=Retry(attempts=1))
    async def charge(order: Order, attempt: Attempt) -> None:
        await attempt.get(accounts, order.customer)

    with Driver(service) as driver:
        driver.send(ORDERS, Order(order_id="o1"))
        (letter,) = driver.dead_letters()
    assert letter.cause == "ValueError: attempt.get reads the tables that the call names in reads; found shop.accounts"


async def test_an_attempt_goes_on_without_a_row_that_nobody_has() -> None:
    async def away(*_: object) -> None:
        message = "nobody answers"
        raise Unavailable(message)

    accounts, attempt = Service("shop").table(ACCOUNTS), Attempt("key", 1, read=away)
    assert await attempt.get(accounts, "ada", otherwise=None) is None
    with pytest.raises(Unavailable, match="nobody answers"):
        await attempt.get(accounts, "ada")
