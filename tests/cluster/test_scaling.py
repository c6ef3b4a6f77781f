"""A service gets another number of partitions while it runs: nothing is lost, doubled, misjoined or out of order."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import msgspec
import pytest

from tests.cluster.villages import Village, asking_for
from tests.support.beside import Beside
from tests.support.workers import none_left, running

PEOPLE = [f"c{number}" for number in range(40)]


@pytest.fixture
def village(kafka: str, prefix: str, beside: Beside, tmp_path: Path) -> Village:
    return Village(kafka, prefix, beside, tmp_path)


def test_a_service_is_scaled(village: Village) -> None:
    worker, other = village.worker(), village.worker("two")
    village.settle_in(PEOPLE[:30])
    village.live(PEOPLE)
    with running(worker, other):
        village.until("answered", 30)
        growth = village.scale("--partitions", "6", worker=worker)["growth"]
        assert (growth["phase"], growth["partitions"], growth["generation"]) == ("done", [6], 2)
        village.live(PEOPLE)
        village.settle_in(PEOPLE[30:])
        village.live(PEOPLE)
        village.until_done()
        assert worker.stop() == other.stop() == 0
    village.judge()


def test_a_service_is_scaled_up_and_down_while_workers_are_killed(village: Village) -> None:
    workers = [village.worker(name) for name in ("one", "two", "three")]
    village.settle_in(PEOPLE[:30])
    with running(*workers):
        village.live(PEOPLE)
        for partitions in (12, 3):
            for worker in workers:
                worker.until_running()
            asking = village.ask(partitions, worker=workers[0])
            village.live(PEOPLE)
            for worker in workers[:2]:
                worker.kill()
            village.live(PEOPLE)
            for worker in workers[:2]:
                worker.start()
            assert asking.result(90)["growth"]["phase"] == "done"
            village.live(PEOPLE)
        village.settle_in(PEOPLE[30:])
        village.until_done()
        for worker in workers:
            assert worker.stop() == 0
    village.judge()


@pytest.mark.parametrize("grown", [("calls", "customers", "deposits"), ("calls",), ("customers",)])
def test_topics_that_others_have_grown_are_taken_over(village: Village, grown: tuple[str, ...]) -> None:
    village.reacts = "customers" not in grown
    workers = [village.worker("one"), village.worker("two")]
    village.settle_in(PEOPLE[:30])
    with running(*workers):
        for worker in workers:
            worker.until_running()
        village.live(PEOPLE)
        village.until("answered", 30)
        for topic in grown:
            village.grow(topic, 8)
        village.live(PEOPLE)
        village.settle_in(PEOPLE[:30])
        village.until_held_back(workers)
        assert village.scale("--partitions", "8", worker=workers[0])["growth"]["phase"] == "done"
        village.live(PEOPLE)
        village.settle_in(PEOPLE[30:])
        village.until_done()
        for worker in workers:
            assert worker.stop() == 0
    village.judge()


def test_a_source_that_grows_afterwards_keeps_the_order_of_each_key(village: Village) -> None:
    village.reacts = False
    workers = [village.worker("one"), village.worker("two")]
    village.settle_in(PEOPLE)
    with running(*workers):
        village.live(PEOPLE)
        village.until("answered", len(village.calls))
        assert village.scale("--partitions", "6", worker=workers[0])["growth"]["phase"] == "done"
        for worker in workers:
            worker.kill()
        for _ in range(40):
            village.live(PEOPLE)
        for topic in ("calls", "deposits", "customers"):
            village.grow(topic, 8)
        village.live(PEOPLE)
        village.settle_in(PEOPLE)
        for worker in workers:
            worker.start()
        village.live(PEOPLE)
        village.until_done()
        for worker in workers:
            assert worker.stop() == 0
    village.judge()


@pytest.mark.parametrize("step", ["created", "pausing", "copying", "filling", "done"])
def test_a_growth_goes_on_after_each_of_its_steps(village: Village, step: str) -> None:
    workers = [village.worker("one"), village.worker("two")]
    village.settle_in(PEOPLE[:30])
    village.live(PEOPLE)
    with none_left(*workers):
        for worker in workers:
            worker.start(dying_at=f"growth.{step}:1")
        for worker in workers:
            worker.until_running()
        asking = village.ask(6, worker=workers[0])
        village.until_any_died(workers)
        for worker in workers:
            worker.kill()
        village.live(PEOPLE)
        for worker in workers:
            worker.start()
        assert asking.result(90)["growth"]["phase"] == "done"
        village.settle_in(PEOPLE[30:])
        village.until_done()
        for worker in workers:
            assert worker.stop() == 0
    village.judge()


@pytest.mark.parametrize("step", ["delivery.sent", "delivery.acknowledged"])
def test_a_worker_that_sleeps_in_a_transaction_through_a_growth_changes_nothing(village: Village, step: str) -> None:
    workers = [village.worker(name, session_timeout_s="6") for name in ("one", "two")]
    sleeper = village.worker("three", session_timeout_s="6")
    village.settle_in(PEOPLE[:30])
    with none_left(*workers, sleeper):
        for worker in workers:
            worker.start()
        sleeper.start(dying_at=f"{step}:6:SIGSTOP")
        for worker in (*workers, sleeper):
            worker.until_running()
        village.live(PEOPLE)
        sleeper.until_stopped()
        assert village.scale("--partitions", "6", worker=workers[0])["growth"]["phase"] == "done"
        village.live(PEOPLE)
        sleeper.signal(signal.SIGCONT)
        village.live(PEOPLE)
        village.settle_in(PEOPLE[30:])
        village.until_done()
        for worker in (*workers, sleeper):
            assert worker.stop() == 0
    village.judge()


def test_what_is_in_an_open_transaction_is_copied(village: Village) -> None:
    worker = village.worker()
    village.settle_in(PEOPLE)
    with running(worker):
        worker.until_running()
        village.live(PEOPLE)
        village.until_done()
        with village.in_a_transaction(f"{village.prefix}.orders.by.customer_id", "late", PEOPLE[0]) as commit:
            asking = village.ask(6, worker=worker)
            village.until_phase(worker, "copying")
            time.sleep(2)
            assert not asking.done(), "a record in an open transaction may still count"
            commit()
        assert asking.result(60)["growth"]["phase"] == "done"
        village.orders.append("late")
        village.until_done()
        assert worker.stop() == 0
    village.judge()


@pytest.mark.parametrize("how", ["command", "time limit"])
def test_a_growth_is_cancelled(village: Village, how: str) -> None:
    worker = village.worker()
    village.settle_in(PEOPLE[:30])
    with running(worker):
        worker.until_running()
        village.live(PEOPLE)
        village.until("answered", 30)
        with village.in_a_transaction(f"{village.prefix}.orders.by.customer_id", "never", PEOPLE[0]):
            asking = village.ask(6, worker=worker, within=80 if how == "command" else 6)
            village.until_phase(worker, "copying")
            village.live(PEOPLE)
            if how == "command":
                assert village.scale("--cancel", worker=worker)["growth"]["phase"] == "cancelled"
            growth = asking.result(60)["growth"]
            assert (growth["phase"], how in growth["reason"]) == ("cancelled", True)
        village.live(PEOPLE)
        assert village.scale("--partitions", "8", worker=worker)["growth"]["generation"] == 3, "no number is used twice"
        village.live(PEOPLE)
        village.settle_in(PEOPLE[30:])
        village.until_done()
        assert worker.stop() == 0
    village.judge()


def test_lookups_are_answered_while_a_service_is_scaled(village: Village) -> None:
    workers = [village.worker("one"), village.worker("two")]
    village.settle_in(PEOPLE)
    with running(*workers):
        village.live(PEOPLE)
        village.until_done()
        for worker in workers:
            worker.until_caught_up()
        rows = {
            **{(village.name("customers"), who): ("name", name) for who, name in village.names.items()},
            **{(village.name("accounts"), who): ("total", sent[0][1]) for who, sent in village.deposits.items()},
        }
        with asking_for(workers, rows) as answers:
            for partitions in ("6", "3"):
                assert village.scale("--partitions", partitions, worker=workers[0])["growth"]["phase"] == "done"
        assert len(answers) > 100
        assert not [wrong for _, wrong in answers if wrong]
        unanswered = sum(status == 503 for status, _ in answers)
        assert unanswered < len(answers) / 10, f"{unanswered} of {len(answers)} lookups had no answer"
        for worker in workers:
            assert worker.stop() == 0


def test_a_key_that_comes_back_after_a_growth_has_a_higher_revision_than_ever_before(village: Village) -> None:
    worker = village.worker(later=600)
    who = PEOPLE[0]
    with running(worker):
        worker.until_running()
        for other in PEOPLE[1:] * 3:
            village.pay(other, 1)
        village.until("noted", 117)
        village.pay(who, 1)
        village.pay(who, 0)
        village.until("noted", 119)
        assert village.scale("--partitions", "40", worker=worker)["growth"]["phase"] == "done"
        village.pay(who, 1)
        village.until("noted", 120)
        assert worker.stop() == 0
    *before, last = [each for each in village.records("accounts") if each.key == who.encode()]
    revisions = [msgspec.json.decode(each.value)["revision"] for each in before if each.value]
    deletions = [int(dict(each.headers)["larder.revision"]) for each in before if each.value is None]
    assert msgspec.json.decode(last.value)["revision"] > max(revisions + deletions), "followers would drop the row"
