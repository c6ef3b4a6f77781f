"""Calls while workers stop, die, hang, or share other partitions: made again only for a reason that can be named."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from larder.operators.calls.breaker import OPENS_AT
from tests.cluster.payments import BLOCKING, OPTIONS, Customers, Payments, Provider, paying
from tests.support.beside import Beside
from tests.support.eventually import eventually
from tests.support.workers import Worker

IN_FLIGHT = 50
"""How many calls a worker makes at once."""

LEFT_TO_PEOPLE = f'unknown="dead-letter", {OPTIONS}'
ONE_FAILURE = """
    key=lambda order: order.order_id, timeout={timeout}, outages=[aiohttp.ClientConnectionError],
    retry=Retry(first=0.2, most=1.0, within=60.0, attempts=1),
"""
"""Whatever fails once, but for an outage, becomes a dead letter."""

UNKNOWN = "the outcome of attempt 1 is unknown: worker one, which began it, did not report one"


@pytest.fixture
def payments(kafka: str, prefix: str, tmp_path: Path) -> Iterator[Payments]:
    with paying(kafka, tmp_path, prefix) as found:
        yield found


@pytest.fixture
def customers(payments: Payments, beside: Beside) -> Customers:
    return Customers(payments, beside, "o")


@pytest.fixture
def patient(kafka: str, prefix: str, tmp_path: Path, beside: Beside) -> Iterator[Customers]:
    """Customers of a service whose calls never time out, so that none is made again because the machine is slow."""
    with paying(kafka, tmp_path, prefix, timeout=120.0) as payments:
        payments.provider.slow = 0.05
        yield Customers(payments, beside, "o")


@contextmanager
def ordering(customers: Customers) -> Iterator[list[str]]:
    """Send orders during the block, each of a customer of its own; yield their ids."""
    ids, over = list[str](), threading.Event()

    def send() -> None:
        number = 0
        while not over.wait(0.1):
            ids.extend(customers.order(*range(number, number + 10), customers=1_000_000))
            number += 10

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield ids
    finally:
        over.set()
        thread.join()


def require_paid_once(customers: Customers, ids: list[str]) -> None:
    found = customers.until("paid", len(ids), seconds=60)
    assert Counter(each["order_id"] for each in found) == Counter(ids)


def made_again(customers: Customers, ids: list[str]) -> list[str]:
    return [each for each in ids if customers.provider.requests[each] > 1]


@pytest.mark.scenario("1.11")
@pytest.mark.timeout(240)
def test_no_call_is_made_twice_while_workers_restart_one_after_the_other(patient: Customers) -> None:
    with ordering(patient) as ids:
        for worker in patient.payments.workers:
            time.sleep(1)
            assert worker.stop() == 0, worker.text[-3000:]
            worker.start()
            worker.until_caught_up()
    require_paid_once(patient, ids)
    assert made_again(patient, ids) == []


def test_calls_that_wait_under_a_name_that_is_not_declared_any_more_are_not_left_behind(
    kafka: str, prefix: str, tmp_path: Path, beside: Beside
) -> None:
    with paying(kafka, tmp_path, prefix, workers=1) as payments:
        (worker,) = payments.workers
        customers = Customers(payments, beside, "o")
        payments.provider.down = True
        (order,) = customers.order(1)
        eventually(lambda: payments.provider.requests[order], bool)
        assert worker.stop() == 0
        source = tmp_path / f"{worker.module}.py"
        declared = source.read_text()
        source.write_text(declared.replace("async def charge(", "async def take_money("))
        assert worker.start().exit_code() == 2
        said = f"requires a call charge, for which calls wait; found 1 call in {prefix}.charge.calls, and the declared"
        assert f"{said} calls take_money; give the function its old name, or the call name=" in worker.text
        kept = declared.replace("into=[paid, not_paid],", 'into=[paid, not_paid], name="charge",')
        source.write_text(kept.replace("async def charge(", "async def take_money("))
        payments.provider.down = False
        worker.start().until_caught_up()
        assert [each["order_id"] for each in customers.until("paid", 1)] == [order]
        assert worker.stop() == 0
        source.write_text(declared.replace("async def charge(", "async def take_money("))
        worker.start().until_caught_up()  # nothing waits any more


@pytest.mark.timeout(240)
def test_after_a_kill_at_most_the_calls_in_flight_are_made_again(payments: Payments, customers: Customers) -> None:
    payments.provider.slow = 0.2
    with ordering(customers) as ids:
        time.sleep(2)
        payments.workers[0].kill()
        payments.workers[0].start()
        payments.workers[0].until_caught_up()
        time.sleep(1)
    require_paid_once(customers, ids)
    assert len(made_again(customers, ids)) <= IN_FLIGHT


def test_a_call_whose_outcome_nobody_knows_is_left_to_people_if_the_declaration_says_so(
    kafka: str, prefix: str, tmp_path: Path, beside: Beside
) -> None:
    with paying(kafka, tmp_path, prefix, workers=1, options=LEFT_TO_PEOPLE, timeout=1.0) as payments:
        (worker,), provider = payments.workers, payments.provider
        customers = Customers(payments, beside, "o")
        provider.slow = 60.0
        (order,) = customers.order(1)
        eventually(lambda: provider.charges, lambda charges: order in charges)
        worker.kill()
        provider.slow = 0.0
        worker.start().until_caught_up()
        letters = eventually(lambda: payments.larder("dead-letters", "list", prefix)["letters"], bool)
        # The next order of the customer is charged, so nothing is left to be called.
        (following,) = customers.order(2, customer="1")
        assert [each["order_id"] for each in customers.until("paid", 1)] == [following]
        assert [each["cause"] for each in letters] == [UNKNOWN]
        assert payments.larder("dead-letters", "list", prefix)["letters"] == letters
        assert provider.requests == {order: 1, following: 1}
        assert customers.results("not-paid") == []


@pytest.mark.timeout(240)
def test_after_a_pause_past_the_session_at_most_the_calls_in_flight_are_made_again(
    payments: Payments, customers: Customers
) -> None:
    payments.provider.slow = 0.2
    worker = payments.workers[0]
    with ordering(customers) as ids:
        time.sleep(2)
        worker.signal(signal.SIGSTOP)
        time.sleep(12)
        worker.signal(signal.SIGCONT)
        worker.until_caught_up()
        time.sleep(1)
    require_paid_once(customers, ids)
    assert len(made_again(customers, ids)) <= IN_FLIGHT


@pytest.mark.timeout(240)
@pytest.mark.parametrize("at_once", [OPENS_AT - 1, 2 * OPENS_AT], ids=["closed", "opens"])
def test_a_worker_that_was_paused_past_its_session_begins_no_call_that_it_had_before(
    kafka: str, prefix: str, tmp_path: Path, beside: Beside, at_once: int
) -> None:
    """When it goes on, its calls in flight are out of time: enough of them open its breaker for a while."""
    options = f"at_once={at_once}, {OPTIONS}"
    with paying(kafka, tmp_path, prefix, workers=2, options=options, timeout=4.0) as payments:
        (paused, _), provider = payments.workers, payments.provider
        customers = Customers(payments, beside, "o")
        provider.slow = 60.0
        ids = customers.order(*range(80), customers=1_000_000)
        # All places are taken, and more calls are due.
        eventually(lambda: begun_by(paused, provider), lambda found: len(found) >= at_once)
        paused.signal(signal.SIGSTOP)
        provider.slow = 0.0
        require_paid_once(customers, ids)
        went_on = time.monotonic()
        paused.signal(signal.SIGCONT)
        later = until_it_calls_again(paused, customers, len(ids))
        require_paid_once(customers, [*ids, *later])
        assert [each for each in begun_by(paused, provider, went_on) if each in ids] == []
        eventually(lambda: open_breakers(payments), lambda found: not any(found))


def open_breakers(payments: Payments) -> list[float]:
    """Return for each worker whether its breaker is open."""
    return [each.metrics()["larder_call_breaker_open", "charge"] for each in payments.workers]


def begun_by(worker: Worker, provider: Provider, since: float = 0.0) -> list[str]:
    """Return the orders for which a worker has called the provider since then."""
    return [each.key for each in provider.noted if each.process == worker.process.pid and each.at >= since]


def until_it_calls_again(worker: Worker, customers: Customers, number: int) -> list[str]:
    """Send orders, with rising numbers, until a worker calls for one of them; return their ids."""
    ids: list[str] = []

    def order() -> set[str]:
        first = number + len(ids)
        ids.extend(customers.order(*range(first, first + 10), customers=1_000_000))
        return {*ids} & {*begun_by(worker, customers.provider)}

    eventually(order, bool, 60)
    return ids


def test_an_outage_and_a_poison_event_cost_no_other_event(
    kafka: str, prefix: str, tmp_path: Path, beside: Beside
) -> None:
    with paying(kafka, tmp_path, prefix, workers=2, options=ONE_FAILURE) as payments:
        customers, provider = Customers(payments, beside, "o"), payments.provider
        provider.down = True
        (poison,) = customers.order(0, customer="poison", amount=-1)
        ids = customers.order(*range(1, 101), customers=1_000_000)
        until_trials_fail(payments)
        ids += customers.order(*range(101, 151), customers=1_000_000)
        provider.down = False
        require_paid_once(customers, ids)
        letters = eventually(lambda: payments.larder("dead-letters", "list", prefix)["letters"], bool)
        assert [(each["key"], each["cause"]) for each in letters] == [(poison, "ValueError: the provider refused: 422")]
        assert provider.charges.keys() == {*ids}


def until_trials_fail(payments: Payments) -> None:
    """Wait until all workers make trial calls only, and some of these have failed."""
    eventually(lambda: open_breakers(payments), all)
    before = payments.provider.requests.total()
    eventually(payments.provider.requests.total, lambda found: found >= before + 3)


@pytest.mark.timeout(240)
def test_calls_go_on_while_their_service_is_scaled(patient: Customers) -> None:
    with ordering(patient) as ids:
        patient.payments.scale(7)
        patient.payments.scale(3)
    require_paid_once(patient, ids)
    assert made_again(patient, ids) == []


@pytest.mark.timeout(240)
def test_a_function_that_ends_its_process_is_given_up_and_workers_live(
    kafka: str, prefix: str, tmp_path: Path, beside: Beside
) -> None:
    with paying(kafka, tmp_path, prefix, timeout=0.5) as payments:
        require_given_up(payments, Customers(payments, beside, "o"))


def require_given_up(payments: Payments, customers: Customers) -> None:
    bad = customers.order(1, customer="exits")
    deadline = time.monotonic() + 120
    while not (found := customers.results("not-paid")):
        assert time.monotonic() < deadline, "not given up within 120 s"
        for worker in payments.workers:
            if not worker.alive():
                worker.start()
        time.sleep(0.2)
    assert [each["order_id"] for each in found] == bad
    assert "did not report" in found[0]["reason"]
    for worker in payments.workers:
        worker.until_caught_up()
    require_paid_once(customers, customers.order(*range(2, 30)))


@pytest.mark.timeout(240)
def test_calls_that_never_end_do_not_keep_a_worker_from_stopping(
    kafka: str, prefix: str, tmp_path: Path, beside: Beside
) -> None:
    with paying(kafka, tmp_path, prefix, timeout=2.0, ends_well=False) as payments:
        customers = Customers(payments, beside, "o")
        customers.order(0, customer="hangs")
        require_paid_once(customers, customers.order(*range(100, 130)))
        while not any("does not end when its time is over" in each.text for each in payments.workers):
            time.sleep(0.1)
        began = time.monotonic()
        for worker in payments.workers:
            worker.signal(signal.SIGTERM)
        for worker in payments.workers:
            worker.exit_code()
        assert time.monotonic() - began < 20
        assert any("still runs: the worker stops without its outcome" in each.text for each in payments.workers)


def test_a_thread_that_never_ends_is_shown_and_does_not_keep_a_worker_from_stopping(
    kafka: str, prefix: str, tmp_path: Path, beside: Beside
) -> None:
    options = f"threads=1, {OPTIONS}"
    with paying(
        kafka, tmp_path, prefix, workers=1, options=options, timeout=1.0, function=BLOCKING, ends_well=False
    ) as payments:
        (worker,), customers = payments.workers, Customers(payments, beside, "o")
        require_paid_once(customers, customers.order(0))
        customers.order(1, customer="hangs")
        page = eventually(lambda: worker.page("/"), lambda shown: "does not end though its time is over" in shown)
        assert "1 function of charge on worker one does not end" in page
        assert "1 out of time" in page
        worker.signal(signal.SIGTERM)
        assert worker.exit_code(10) == 0
        assert "still runs: the worker stops without its outcome" in worker.text
