"""Requests that a test sends: their answers, what counts once, and what flows on from them."""

from __future__ import annotations

import doctest
import re
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from larder import Decision, Delete, OwnerTopic, Row, Service
from larder.testing import Driver, MemoryAnswer
from larder.testing.requests import asked_at
from larder.types import DeclarationError
from tests.larder.testing.rentals import (
    NOON,
    RELEASE,
    RESERVE,
    Delivered,
    Priced,
    Product,
    Release,
    Reserve,
    Reserved,
    Stock,
    Total,
    delivered,
    priced,
    products,
    published,
    rentals,
    reserved,
    stock,
    totals,
)

ONCE, OTHER = "the-key-of-a-client", "the-key-of-another"
RING = {"item": "ring"}


def test_an_answer_has_the_row_after_the_decision() -> None:
    with Driver(rentals(), now=NOON) as driver:
        created = driver.request(RESERVE, Reserve(item="ring"))
        assert created == MemoryAnswer(201, Stock(item="ring", free=0, reserved=1, revision=1), 1)
        driver.send(delivered, Delivered(item="ring", amount=2))
        changed = driver.request(RESERVE, b'{"item": "ring", "amount": 2}')
        assert changed == MemoryAnswer(200, Stock(item="ring", free=0, reserved=3, revision=3), 3)
        assert driver.request("POST /reservations/ring/release") == MemoryAnswer(200)
        assert driver.table(stock).get("ring") is None


def test_a_refused_request_changes_nothing_and_is_published() -> None:
    with Driver(rentals(), now=NOON) as driver:
        assert driver.request(RESERVE, {**RING, "amount": 2}) == MemoryAnswer(409, reason="only 1 are free")
        (refusal,) = driver.read("rentals.refusals")
        assert (refusal.at, refusal.row.id, refusal.row.key) == (NOON, "POST /reservations 1", "ring")
        assert (refusal.row.reason, refusal.row.event["amount"]) == ("only 1 are free", 2)
        assert published(driver) == {}


@pytest.mark.parametrize(
    ("address", "body", "once", "status", "reason"),
    [
        (RESERVE, {**RING, "amount": "two"}, None, 422, "$.amount"),
        (RESERVE, {**RING, "colour": "red"}, None, 422, "Reserve has no field `$.colour`"),
        (RESERVE, b"{", None, 422, "no JSON"),
        (RESERVE, None, None, 400, "`$.item` is missing, and no header Idempotency-Key"),
        (RESERVE, RING, "short", 400, "has 5 characters"),
        (RESERVE, {**RING, "amount": 13}, None, 500, "raised LookupError: nobody reserves as many"),
        (RESERVE, {**RING, "amount": 13}, ONCE, 500, "raised LookupError: nobody reserves as many"),
        ("POST /reservations/ring/release", {"item": "watch"}, None, 422, "`$.item` differs from the path"),
    ],
)
def test_a_request_that_is_not_valid_or_fails_leaves_nothing(
    address: str, body: Any, once: str | None, status: int, reason: str
) -> None:
    with Driver(rentals(), now=NOON) as driver:
        answer = driver.request(address, body, once=once)
        assert (answer.status, answer.row, reason in (answer.reason or "")) == (status, None, True), answer
        assert published(driver) == {}
        assert driver.request(RESERVE, RING, once=ONCE).status == 201, "it does not count"


def test_fields_in_the_path_are_url_encoded() -> None:
    with Driver(rentals(), now=NOON) as driver:
        driver.request(RESERVE, {"item": "ring/of gold"})
        assert driver.request("POST /reservations/ring%2Fof%20gold/release").status == 200
        assert driver.table(stock).rows() == []


def test_a_key_counts_once_for_24_hours_also_when_its_row_is_gone() -> None:
    with Driver(rentals(), now=NOON) as driver:
        first = driver.request(RESERVE, RING, once=ONCE)
        driver.request("POST /reservations/ring/release")
        published(driver)
        driver.advance(hours=24)
        assert driver.request(RESERVE, {**RING, "amount": 1}, once=ONCE) == first._replace(repeated=True)
        assert driver.request(RESERVE, {**RING, "minutes": 1}, once=ONCE).status == 422
        assert (published(driver), driver.table(stock).rows()) == ({}, [])
        driver.advance(seconds=1)
        again = driver.request(RESERVE, RING, once=ONCE)
        assert (again.status, again.revision, again.repeated) == (201, 3, False)


def test_a_refusal_is_repeated_too_and_published_once() -> None:
    with Driver(rentals(), now=NOON) as driver:
        first = driver.request(RESERVE, {**RING, "amount": 2}, once=ONCE)
        driver.send(delivered, Delivered(item="ring", amount=5))
        assert driver.request(RESERVE, {**RING, "amount": 2}, once=ONCE) == first._replace(repeated=True)
        assert driver.request(RESERVE, {**RING, "amount": 2}, once=OTHER).status == 200
        (refused,) = driver.read_rows("rentals.refusals")
        assert re.fullmatch(r"POST /reservations [0-9a-f]{64}", refused.id)


STEPS = st.one_of(
    st.tuples(st.just(RESERVE), st.sampled_from([ONCE, OTHER]), st.integers(1, 2)),
    st.tuples(st.just(RELEASE), st.sampled_from([ONCE, OTHER]), st.just(1)),
    st.tuples(st.just("wait"), st.just(""), st.sampled_from([1, 12, 24, 25])),
)


@given(st.lists(STEPS, max_size=12))
def test_what_comes_again_within_24_hours_has_its_first_answer_and_no_effect(steps: list[tuple[str, str, int]]) -> None:
    known: dict[tuple[str, str], tuple[int, int, MemoryAnswer]] = {}
    hour = 0
    with Driver(rentals(), now=NOON) as driver:
        for address, once, number in steps:
            if address == "wait":
                driver.advance(hours=number)
                hour += number
                continue
            body = {**RING, "amount": number} if address == RESERVE else {}
            answer = driver.request(address.replace("{item}", "ring"), body, once=once)
            effects = published(driver)
            at, value, first = known.get((address, once), (hour - 25, 0, answer))
            if hour - at > 24:
                known[address, once] = hour, number, answer
                assert (answer.repeated, len(effects) > 0) == (False, True)
            else:
                assert answer == first._replace(repeated=True) if number == value else answer.status == 422
                assert effects == {}


def test_a_row_without_an_id_gets_the_same_one_for_the_same_key() -> None:
    with Driver(rentals(), now=NOON) as driver:
        first = driver.request(RESERVE, {}, once=ONCE)
        assert driver.request(RESERVE, None, once=ONCE) == first._replace(repeated=True)
        assert driver.request(RESERVE, {}, once=OTHER).row.item != first.row.item
        assert len(driver.table(stock).rows()) == 2


def test_a_wake_up_that_a_request_sets_wakes_the_decide_of_the_state() -> None:
    with Driver(rentals(), now=NOON) as driver:
        driver.request(RESERVE, {**RING, "minutes": 5})
        driver.advance(minutes=4)
        assert driver.table(stock).get("ring").reserved == 1
        driver.advance(minutes=1)
        assert driver.table(stock).get("ring") == Stock(item="ring", free=1, revision=2)
        assert driver.read(stock)[-1].at == driver.now
        driver.request(RESERVE, {**RING, "minutes": 5})
        assert driver.table(stock).get("ring").reserved == 0, "its wake-up was due when it was set"


def test_emitted_events_reach_joins_and_other_states_before_the_request_returns() -> None:
    with Driver(rentals(), now=NOON) as driver:
        tea = Product(item="tea", price=3)
        driver.send(products, tea)
        driver.request(RESERVE, {"item": "tea"})
        driver.request(RESERVE, RING)
        assert driver.read_rows(priced) == [
            Priced(item="tea", amount=1, product=tea),
            Priced(item="ring", amount=1, product=None),
        ]
        assert driver.table(totals).get("tea") == Total(item="tea", reservations=1, revision=1)
        assert {each.at for each in driver.read(reserved)} == {NOON}


def test_a_decision_about_another_partition_leaves_nothing() -> None:
    service = Service("rentals")

    @service.request("POST /moves", state=service.table(stock), into=reserved)
    def move(request: Reserve, _row: Stock | None) -> Decision:
        rows = [Stock(item=request.item, free=1), Delete("elsewhere")]
        return Decision(rows, emit=Reserved(item="ring", amount=1))

    with Driver(service) as driver:
        answer = driver.request("POST /moves", RING)
        assert (answer.status, "partition" in (answer.reason or "")) == (500, True), answer
        assert (driver.read(stock), driver.read(reserved)) == ([], [])


class Order(Row):
    order_id: str
    item: str


class Invoice(Row):
    item: str
    amount: int = 0
    paid: bool = False


def test_what_one_service_publishes_goes_to_another_which_counts_for_itself() -> None:
    billing = Service("billing")
    invoices = billing.table(OwnerTopic("invoices", Invoice, key="item", owner="billing"))

    @billing.fold(reserved, state=invoices)
    def bill(event: Reserved, _row: Invoice | None) -> Invoice:
        return Invoice(item=event.item, amount=event.amount)

    @billing.request(RESERVE, state=invoices)
    def pay(request: Reserve, row: Invoice | None) -> Decision:
        return Decision(Invoice(item=request.item, amount=request.amount, paid=row is not None))

    with Driver(rentals(), now=NOON) as one, Driver(billing, now=NOON) as other:
        assert one.request(RESERVE, RING, once=ONCE).status == 201
        for row in one.read_rows(reserved):
            other.send(reserved, row)
        answer = other.request(RESERVE, RING, once=ONCE)
        assert (answer.status, answer.row, answer.repeated) == (200, Invoice(item="ring", amount=1, paid=True), False)


@pytest.mark.parametrize(
    ("use", "told"),
    [
        (
            lambda it: it.request("POST /orders"),
            "a request of POST /orders: requires an address of rentals, .*; ask for POST /reservations, POST /res",
        ),
        (lambda it: it.request(RELEASE), "with the fields of its path filled in"),
        (lambda it: it.request("GET /reservations"), "requires an address of rentals"),
        (lambda it: it.request(RESERVE, Release(item="o")), "a row of Reserve, a dict, .*; found a Release; give Res"),
        (lambda it: it.send(RESERVE, RING), "a run of rentals requires topics that it reads"),
    ],
)
def test_a_mistake_raises_a_problem_that_says_what_to_do(use: Callable[[Driver], Any], told: str) -> None:
    with pytest.raises(DeclarationError, match=told):
        use(Driver(rentals()))


DECLARED = st.lists(st.sampled_from(["one", "two", "{}"]), min_size=1, max_size=3).map(
    lambda parts: "/".join(["/shop", *(each.replace("{}", f"{{field{at}}}") for at, each in enumerate(parts))])
)
ASKED = st.lists(st.sampled_from(["one", "two", "t%77o", "a%2Fb", "%7B", ""]), min_size=1, max_size=3).map(
    lambda parts: "/".join(["/shop", *parts])
)


@given(st.lists(DECLARED, min_size=1, max_size=4, unique=True), ASKED)
async def test_an_address_belongs_to_the_request_for_which_a_worker_takes_it(paths: list[str], asked: str) -> None:
    service, router = Service("shop"), web.UrlDispatcher()
    for path in paths:
        service.request(f"POST {path}", state=service.table(stock))
        router.add_post(path, _nothing)
    match = await router.resolve(make_mocked_request("POST", asked))
    if match.http_exception is not None:
        with pytest.raises(DeclarationError, match="requires an address of shop"):
            asked_at(service, f"POST {asked}")
    else:
        request, fields = asked_at(service, f"POST {asked}")
        assert match.route.resource is not None
        assert (request.path, fields) == (match.route.resource.canonical, dict(match))


async def _nothing(_request: web.Request) -> web.Response:
    return web.Response()


def test_the_example_of_the_docstring_runs() -> None:
    service = Service("shop")

    @service.request("POST /orders", state=service.table(OwnerTopic("orders", Order, key="order_id", owner="shop")))
    def place(request: Order, _row: Order | None) -> Decision:
        return Decision(request)

    (example,) = doctest.DocTestFinder(recurse=False).find(Driver.request, globs={"driver": Driver(service)})
    assert example.examples
    assert doctest.DocTestRunner().run(example).failed == 0
