"""People see how calls stand, call now, and give up: on pages, in metrics and by commands. Real workers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from larder.client import call_orders
from larder.client.calls import CallList
from larder.config.connection import Connection
from larder.config.errors import UnavailableError
from tests.cluster.payments import Payments, paying
from tests.conftest import unique
from tests.support.beside import Beside
from tests.support.eventually import eventually
from tests.support.topics import Sent, read, send
from tests.support.workers import Worker, larder

PATIENT = """
    key=lambda order: order.order_id, timeout=20.0, otherwise=gave_up,
    retry=Retry(first=60.0, most=60.0, within=600.0, attempts=3),
"""
"""Who fails waits for at least half a minute."""

STRICT = "timeout=2.0, at_most=5, retry=Retry(first=0.2, most=1.0, within=60.0, attempts=1)"
"""Who is refused is given up at once, and becomes a dead letter; the idempotency keys are Larder's own."""

CALL = "charge"


class Shop:
    """Sends orders to the service of a test, reads what came of them, and runs commands."""

    def __init__(self, payments: Payments, beside: Beside) -> None:
        self.payments = payments
        self.provider = payments.provider
        self.name = payments.name
        self.one = payments.workers[0]
        self._beside = beside

    def order(self, *ids: str, amount: int = 1) -> None:
        """Send orders, each of another customer."""
        sent = [Sent(each, {"order_id": each, "customer": f"c-{each}", "amount": amount}) for each in ids]
        self._beside.call(send(self.payments.kafka, f"{self.name}.orders", sent))

    def events(self, topic: str) -> list[dict[str, Any]]:
        records = self._beside.call(read(self.payments.kafka, f"{self.name}.{topic}"))
        return [msgspec.json.decode(each.value or b"") for each in records]

    def run(self, *words: str) -> Any:
        """Run a subcommand, and return the ended process."""
        payments = self.payments
        return larder(*words, kafka=payments.kafka, directory=payments.directory, module=self.one.module, timeout=90)

    def stored(self, worker: Worker | None = None) -> dict[str, dict[str, Any]]:
        """Return the calls that are not done, by the order's id, once a worker knows them."""
        asked = worker or self.one
        _, body = eventually(
            lambda: asked.get(f"/calls/{CALL}"), lambda answer: answer is not None and answer[0] == 200
        )
        return {each["key"]: each for each in body["calls"]}

    def until_stored(self, ready: Callable[[dict[str, dict[str, Any]]], Any]) -> dict[str, dict[str, Any]]:
        """Wait until the stored calls are as wanted, and return them."""
        return eventually(self.stored, ready)

    def until_idle(self) -> None:
        """Wait until no call is left, and every breaker is closed."""
        self.provider.down, self.provider.slow = False, 0.0
        eventually(self.stored, lambda found: not found)


@pytest.fixture(scope="module")
def patient(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Payments]:
    with paying(kafka, tmp_path_factory.mktemp("patient"), unique("patient"), workers=2, options=PATIENT) as found:
        yield found


@pytest.fixture
def shop(patient: Payments, beside: Beside) -> Iterator[Shop]:
    found = Shop(patient, beside)
    yield found
    found.until_idle()


@pytest.fixture
def strict(kafka: str, tmp_path_factory: pytest.TempPathFactory, beside: Beside) -> Iterator[Shop]:
    with paying(kafka, tmp_path_factory.mktemp("strict"), unique("strict"), workers=1, options=STRICT) as found:
        yield Shop(found, beside)


def test_a_call_that_failed_is_made_now_on_command(shop: Shop) -> None:
    shop.order("refused", amount=-1)
    call = shop.until_stored(lambda found: found.get("refused", {}).get("failures") == 1)["refused"]
    assert (call["state"], call["due"] > time.time() + 20, "422" in call["cause"]) == ("retrying", True, True)
    listed = shop.payments.larder("calls", "list", shop.name)["calls"]
    assert [(each["name"], each["waiting"], [one["id"] for one in each["stored"]]) for each in listed] == [
        (CALL, 1, [call["id"]])
    ]
    result = shop.payments.larder("calls", "retry", shop.name, CALL, call["id"])
    assert result == {"retried": [call["id"]], "running": [], "more": False}
    shop.until_stored(lambda found: found["refused"]["failures"] == 2)
    assert shop.provider.requests["refused"] == 2
    shown = shop.run("calls", "list", shop.name, CALL)
    assert f"{CALL}: 1 not done, 0 running, the oldest for " in shown.stdout
    assert " c-refused  retrying        2  " in shown.stdout
    shop.payments.larder("calls", "retry", shop.name, CALL, "--all")
    eventually(lambda: shop.events("not-paid"), lambda found: any(each["order_id"] == "refused" for each in found))
    assert shop.provider.requests["refused"] == 3


def test_a_call_is_given_up_on_command_and_the_service_hears_of_it(shop: Shop) -> None:
    shop.order("skipped", amount=-1)
    call = shop.until_stored(lambda found: found.get("skipped", {}).get("failures") == 1)["skipped"]
    assert shop.payments.larder("calls", "skip", shop.name, CALL, call["id"]) == {"skipped": [call["id"]], "left": []}
    assert "skipped" not in shop.stored()
    (event,) = [each for each in shop.events("not-paid") if each["order_id"] == "skipped"]
    assert (event["reason"], shop.provider.requests["skipped"]) == ("it was skipped by hand", 1)
    for what in ("skip", "retry"):
        gone = shop.run("calls", what, shop.name, CALL, call["id"])
        assert (gone.returncode, gone.stdout) == (2, "")
        assert "requires a call that is not done; found none: done, or given up" in gone.stderr
        assert f"larder dead-letters replay {shop.name}" in gone.stderr


def test_a_call_that_is_under_way_is_not_skipped(shop: Shop) -> None:
    shop.provider.slow = 4.0
    shop.order("slow")
    call = shop.until_stored(lambda found: found.get("slow", {}).get("state") == "running")["slow"]
    assert call["begun"]["worker"] in {"one", "two"}
    running = eventually(
        lambda: [each.get("/services") for each in shop.payments.workers],
        lambda found: sum(each[1]["operators"][0]["running"] for each in found) == 1,
    )
    assert sum(each[1]["operators"][0]["waiting"] for each in running) == 1
    skipped = shop.run("calls", "skip", shop.name, CALL, call["id"])
    assert (skipped.returncode, skipped.stdout) == (1, f"{CALL}: 0 skipped, 1 left\n")
    assert f"is skipped between two attempts; found one on worker {call['begun']['worker']}" in skipped.stderr
    eventually(lambda: shop.events("paid"), lambda found: any(each["order_id"] == "slow" for each in found))


def test_an_outage_is_told_everywhere_and_ends_without_a_restart(shop: Shop) -> None:
    shop.provider.down = True
    ids = [f"down-{number}" for number in range(40)]
    shop.order(*ids)
    worker = eventually(
        lambda: [each for each in shop.payments.workers if each.metrics()["larder_call_breaker_open", CALL]], bool
    )[0]
    for address in ("/health/live", "/health/ready"):
        status, answer = worker.get(address) or (0, {})
        assert (status, answer["reasons"]) == (200, [])
        assert any("what it calls is down" in each["why"] for each in answer["besides"])
    assert f"What {CALL} calls is down: worker" in worker.page("/")
    assert f"{shop.name}.{CALL}.outcomes" in worker.page("/topology")
    shown = worker.page(f"/calls/{CALL}")
    assert "Unavailable: the provider answered 503" in shown
    assert f"larder calls retry {shop.name} {CALL} --all" in shown
    assert [*shop.stored(shop.payments.workers[1])] == [*shop.stored()]
    assert worker.metrics()["larder_calls_waiting", CALL] > 0
    assert worker.metrics()["larder_calls_total", CALL, "failed"] > 0
    assert worker.metrics()["larder_call_seconds_count", CALL] > 0
    shop.provider.down = False
    assert shop.payments.larder("calls", "retry", shop.name, CALL, "--all")["retried"]
    eventually(lambda: {each["order_id"] for each in shop.events("paid")}, lambda found: found.issuperset(ids), 45)
    eventually(
        lambda: [each.metrics()["larder_call_breaker_open", CALL] for each in shop.payments.workers],
        lambda found: not any(found),
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("list", "{name}", "charg"), "did you mean charge?"),
        (("retry", "{name}", CALL), "requires IDs or --all; found neither"),
        (("list", "{name}", "--cursor", "x"), "requires the call whose list it continues"),
        (("list", "none"), "none"),
    ],
)
def test_a_mistake_is_explained(shop: Shop, words: tuple[str, ...], says: str) -> None:
    ended = shop.run("calls", *(each.replace("{name}", shop.name) for each in words))
    assert (ended.returncode, ended.stdout, says in ended.stderr) == (2, "", True), ended.stderr


@pytest.mark.parametrize("scaled", [False, True], ids=["as it is", "after it was scaled"])
def test_a_dead_letter_of_a_call_is_made_again_with_its_idempotency_key(strict: Shop, *, scaled: bool) -> None:
    strict.order("refused", amount=-1)
    letters = eventually(lambda: strict.payments.larder("dead-letters", "list", strict.name)["letters"], bool)
    assert (len(letters), "422" in letters[0]["cause"]) == (1, True)
    ((key, requests),) = strict.provider.requests.items()
    assert (requests, key.count("/")) == (1, 2)
    strict.provider.refuses = False
    if scaled:
        # The event has other coordinates now, of which its key would be made.
        strict.payments.larder("scale", strict.name, "--partitions", "6")
    strict.payments.larder("dead-letters", "replay", strict.name, "--all")
    eventually(lambda: strict.events("paid"), lambda found: [each["order_id"] for each in found] == ["refused"])
    assert strict.provider.requests == {key: 2}


def test_an_order_that_no_worker_reads_in_time_says_so_and_counts_later(
    kafka: str, tmp_path: Path, beside: Beside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_orders, "PROCESSED_SECONDS", 1.0)
    with paying(kafka, tmp_path, unique("late"), workers=1, options=PATIENT) as found:
        shop = Shop(found, beside)
        shop.order("late", amount=-1)
        call = shop.until_stored(lambda stored: stored.get("late", {}).get("failures") == 1)["late"]
        assert shop.one.stop() == 0
        gone = shop.run("calls", "list", shop.name)
        assert (gone.returncode, f"start one: larder worker {shop.name}" in gone.stderr) == (3, True)
        table, outcomes = f"{shop.name}.{CALL}.calls", f"{shop.name}.{CALL}.outcomes"
        with pytest.raises(UnavailableError, match=r"requires workers that process them within 1 s; found none for 1 "):
            beside.call(
                call_orders.order(Connection(kafka), shop.name, "retry", CallList([call], None, table, outcomes))
            )
        shop.one.start().until_caught_up()
        eventually(lambda: shop.provider.requests["late"], lambda requests: requests == 2)


def test_a_full_partition_is_told_and_its_worker_is_not_restarted(
    kafka: str, tmp_path_factory: pytest.TempPathFactory, beside: Beside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LARDER_STALL_S", "1")
    with paying(kafka, tmp_path_factory.mktemp("full"), unique("full"), workers=1, options=STRICT) as found:
        shop = Shop(found, beside)
        shop.provider.down = True
        # A handful may wait in each of the four partitions; the others stay in the topic.
        shop.order(*(f"many-{number}" for number in range(2_000)))
        shop.one.until(lambda status: status["operators"][0]["full"], what="full partitions")
        assert f"As many calls of {CALL} as may wait do so in partition" in shop.one.page("/")
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            status, answer = shop.one.get("/health/live") or (0, {})
            assert status == 200, answer
            time.sleep(0.2)
        assert any("wait as at_most allows" in str(each["why"]) for each in answer["besides"])
        shop.provider.down = False
