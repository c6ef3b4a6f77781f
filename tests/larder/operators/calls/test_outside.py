"""The running calls of a worker: bounded in time and number, whatever the functions of users do."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from math import inf
from typing import Any

import pytest

from larder import EventTopic, Retry, Row, Service, Unavailable
from larder.declaring.compiled.calls import compile_call
from larder.declaring.stored_calls import Done, Failed, StoredCall, read
from larder.delivery.output import Output
from larder.operators.calls.outside import GRACE_SECONDS, Outside, Start
from larder.operators.calls.transitions import after, begun
from larder.types import Attempt

OUTCOMES = Output("p.outcomes", 1, 1 << 20)


class Order(Row):
    order_id: str


class Paid(Row):
    order_id: str


ORDERS = EventTopic("p.orders", Order, key="order_id")
PAID = EventTopic("p.paid", Paid, key="order_id")


class Caller:
    """The calls of one function, whose outcomes are published into a list."""

    def __init__(self, function: Callable[..., Any], **options: Any) -> None:
        service = Service("p")
        service.call(ORDERS, into=PAID, **{"timeout": 0.2, **options})(function)
        self.published: list[Any] = []
        self.topics: list[str] = []
        self.may_publish = asyncio.Event()
        self.may_publish.set()
        compiled = compile_call(service.calls[0])
        self.outside = Outside(compiled, OUTCOMES, "one", "run", time.time, self.publish)

    async def publish(self, topic: str, _: bytes, value: bytes) -> None:
        self.topics.append(topic)
        await self.may_publish.wait()
        self.published.append(read(value))

    def stored(self, name: str = "o1") -> StoredCall:
        return StoredCall(
            id=name, place=b"k", number=1, topic="t", partition=0, offset=0, timestamp=0, message_key=None, value=b"{}",
            headers=[], key=name, since=0, due=0,
        )  # fmt: skip

    def start(self, name: str = "o1", begins: float = 0.0, headers: Mapping[str, str] | None = None) -> StoredCall:
        call = self.stored(name)
        started = begun(call, self.outside.reserve(name, time.time() + begins))
        self.outside.start(Start(started, Order(order_id=name), headers or {}))
        return started

    async def outcome(self, seconds: float = 3.0) -> Any:
        async with asyncio.timeout(seconds):
            while not self.published:  # noqa: ASYNC110 - a list
                await asyncio.sleep(0.01)
        return self.published.pop()


async def succeed(order: Order, attempt: Attempt) -> Paid:
    assert attempt == Attempt(order.order_id, 1)
    return Paid(order_id=order.order_id)


async def test_the_result_of_a_call_is_published_as_its_outcome() -> None:
    caller = Caller(succeed)
    caller.start()
    outcome = await caller.outcome()
    assert isinstance(outcome, Done)
    assert [each.value for each in outcome.events] == [b'{"order_id":"o1"}']
    assert not caller.outside.running


async def test_a_result_that_is_too_large_to_be_reported_is_reported_without_it() -> None:
    async def return_much(_: Order, __: Attempt) -> Paid:
        return Paid(order_id="x" * OUTCOMES.max_bytes)

    caller = Caller(return_much)
    caller.start()
    outcome = await caller.outcome()
    assert isinstance(outcome, Done)
    assert outcome.unusable.startswith("a record of p.outcomes requires at most 1048576 bytes; found ")
    assert not outcome.events


@pytest.mark.parametrize("options", [{}, {"threads": 1}])
async def test_the_function_gets_the_headers_with_its_attempt(options: dict[str, int]) -> None:
    found: list[Attempt] = []

    def note(_: Order, attempt: Attempt) -> None:
        found.append(attempt)

    async def note_async(order: Order, attempt: Attempt) -> None:
        note(order, attempt)

    caller = Caller(note if options else note_async, **options)
    caller.start(headers={"tenant": "acme"})
    assert isinstance(await caller.outcome(), Done)
    assert found == [Attempt("o1", 1, {"tenant": "acme"})]


@pytest.mark.parametrize(
    ("error", "outage", "cause"),
    [
        (ValueError("no such card"), False, "ValueError: no such card"),
        (Unavailable("maintenance"), True, "Unavailable: maintenance"),
        (ConnectionResetError(), True, "ConnectionResetError"),
        (SystemExit(3), False, "SystemExit: 3"),
        (KeyboardInterrupt(), False, "KeyboardInterrupt"),
        (OSError("GET https://pay.example/a?key=secret failed"), True, "OSError: GET https://pay.example/a?… failed"),
        (RuntimeError("x" * 1000), False, "RuntimeError: " + "x" * 186 + "…"),
    ],
)  # fmt: skip
async def test_whatever_a_function_raises_is_a_failed_attempt(
    error: BaseException, *, outage: bool, cause: str
) -> None:
    async def fail(_: Order, __: Attempt) -> Paid:
        raise error

    caller = Caller(fail)
    caller.start()
    outcome = await caller.outcome()
    assert isinstance(outcome, Failed)
    assert (outcome.outage, outcome.cause) == (outage, cause)


async def test_a_call_that_takes_too_long_is_an_outage() -> None:
    async def hang(_: Order, __: Attempt) -> Paid:
        await asyncio.sleep(60)
        raise AssertionError

    caller = Caller(hang)
    caller.start()
    outcome = await caller.outcome()
    assert (outcome.outage, outcome.cause) == (True, "TimeoutError: no result in 0.2 s")
    assert not caller.outside.running


async def test_a_function_that_swallows_its_cancellation_keeps_its_place_until_it_ends() -> None:
    go_on = asyncio.Event()

    async def stubborn(_: Order, __: Attempt) -> Paid:
        while not go_on.is_set():
            try:
                await go_on.wait()
            except asyncio.CancelledError:
                continue
        return Paid(order_id="late")

    caller = Caller(stubborn, at_once=1)
    caller.start()
    assert isinstance(await caller.outcome(), Failed)
    assert (caller.outside.hanging, caller.outside.admits(time.time())) == (1, False)
    go_on.set()
    async with asyncio.timeout(3):
        while not caller.outside.admits(time.time()):  # noqa: ASYNC110 - a state
            await asyncio.sleep(0.01)
    assert caller.outside.hanging == 0


async def test_a_function_runs_in_threads_and_a_hanging_one_does_not_keep_the_worker() -> None:
    go_on, threads = threading.Event(), list[bool]()

    def slow(order: Order, _: Attempt) -> Paid:
        threads.append(threading.current_thread().daemon)
        if order.order_id == "hangs":
            go_on.wait(20)
        return Paid(order_id=order.order_id)

    caller = Caller(slow, threads=2, at_once=50)
    caller.start("o1")
    assert isinstance(await caller.outcome(), Done)
    caller.start("hangs")
    assert isinstance(await caller.outcome(), Failed)
    assert caller.outside.hanging == 1
    assert caller.outside.admits(time.time())
    began = time.monotonic()
    await caller.outside.stop(2.0)
    assert time.monotonic() - began < 1
    assert not caller.outside.admits(time.time())
    assert threads == [True, True]
    go_on.set()


async def test_a_call_does_not_begin_if_the_process_was_paused_past_its_time() -> None:
    caller = Caller(succeed)
    caller.start(begins=-GRACE_SECONDS - 0.1)
    outcome = await caller.outcome()
    assert "paused" in outcome.cause


async def test_a_call_that_was_not_made_has_not_failed() -> None:
    caller = Caller(succeed)
    call = caller.start(begins=-GRACE_SECONDS - 0.1)
    following = after(call, await caller.outcome(), Retry(attempts=1, within=inf), time.time())
    assert isinstance(following, StoredCall)
    assert (following.begun, following.own, following.failures) == (None, 0, 0)


async def test_a_call_that_began_too_late_can_begin_again() -> None:
    caller = Caller(succeed, at_once=1)
    caller.start(begins=-GRACE_SECONDS - 0.1)
    assert isinstance(await caller.outcome(), Failed)
    assert not caller.outside.running
    assert caller.outside.admits(time.time())
    caller.start()
    assert isinstance(await caller.outcome(), Done)


async def test_a_call_begins_although_its_commit_took_longer_than_it_may_take_itself() -> None:
    caller = Caller(succeed, timeout=0.5)
    caller.start(begins=-2.0)
    assert isinstance(await caller.outcome(), Done)


async def test_at_a_stop_running_calls_may_end_and_their_outcomes_go_out() -> None:
    async def short(order: Order, _: Attempt) -> Paid:
        await asyncio.sleep(0.1)
        return Paid(order_id=order.order_id)

    caller = Caller(short, timeout=5.0)
    caller.start()
    await caller.outside.stop(2.0)
    assert isinstance(caller.published[0], Done)


async def test_no_more_calls_run_than_declared() -> None:
    release = asyncio.Event()

    async def wait(order: Order, _: Attempt) -> Paid:
        await release.wait()
        return Paid(order_id=order.order_id)

    caller = Caller(wait, at_once=3, timeout=5.0)
    for number in range(3):
        assert caller.outside.admits(time.time())
        caller.start(f"o{number}")
    assert not caller.outside.admits(time.time())
    release.set()
    assert isinstance(await caller.outcome(), Done)


async def test_a_call_whose_beginning_is_committed_while_the_worker_stops_still_runs() -> None:
    caller = Caller(succeed)
    call = caller.stored()
    started = begun(call, caller.outside.reserve(call.id, time.time()))
    stopping = asyncio.create_task(caller.outside.stop(2.0))
    await asyncio.sleep(0.05)
    caller.outside.start(Start(started, Order(order_id="o1"), {}))
    await stopping
    assert isinstance(caller.published.pop(), Done)
    caller.outside.start(Start(started, Order(order_id="o1"), {}))
    await asyncio.sleep(0.05)
    assert not caller.outside.running, "it is too late: another worker makes this attempt"


async def test_an_outcome_that_is_on_its_way_while_its_topic_is_replaced_goes_into_the_new_one_as_well() -> None:
    caller = Caller(succeed)
    caller.may_publish.clear()
    caller.start()
    async with asyncio.timeout(3):
        while not caller.topics:  # noqa: ASYNC110 - a list
            await asyncio.sleep(0.01)
    caller.outside.move_to(Output("p.outcomes.g2", 1, 1 << 20))
    caller.may_publish.set()
    async with asyncio.timeout(3):
        while len(caller.published) < 2:  # noqa: ASYNC110 - a list
            await asyncio.sleep(0.01)
    assert caller.topics == [OUTCOMES.topic, "p.outcomes.g2"]


async def test_the_last_outcomes_go_into_the_topic_of_the_next_generation_once_more() -> None:
    caller = Caller(succeed)
    caller.start()
    await caller.outcome()
    caller.outside.move_to(Output("p.outcomes.g2", 1, 1 << 20))
    await caller.outcome()
    caller.outside.forget("o1")
    caller.outside.move_to(Output("p.outcomes.g3", 1, 1 << 20))
    await asyncio.sleep(0.05)
    assert caller.topics == [OUTCOMES.topic, "p.outcomes.g2"], "a processed one is not published again"
