"""Dead letters of a service that is scaled: their records reach the step that failed, wherever it is by then."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiokafka.errors import ProducerFenced

from larder.config.connection import Connection
from larder.declaring.growth import GrowthPhase
from larder.worker.growth_log import read_growth
from tests.cluster.villages import Village
from tests.support.beside import Beside
from tests.support.topics import Sent, hanging, read, until
from tests.support.workers import Worker, larder, running

PEOPLE = [f"c{number}" for number in range(20)]


class Town(Village):
    """A village that lets no call and no order wait for its customer."""

    def module(self, *, wait: float = 120, later: float = 2, number: str = "") -> str:
        text = super().module(wait=wait, later=later, number=number)
        return text.replace(f"missing=Wait(seconds={wait}).then(PassOn)", "missing=DeadLetter")

    def letters(self, *arguments: str, worker: Worker, code: int = 0) -> Any:
        """Run a command about the letters, and return its answer."""
        command = ("dead-letters", arguments[0], self.prefix, *arguments[1:], "--json")
        ended = larder(*command, kafka=self.kafka, directory=self.directory, module=worker.module)
        assert ended.returncode == code, (ended.returncode, ended.stdout, ended.stderr)
        return msgspec.json.decode(ended.stdout)

    def until_letters(self, count: int) -> list[str]:
        """Wait for so many letters, and return their ids."""

        async def enough() -> list[str] | None:
            found = [each for each in await read(self.kafka, self.name("dead-letters")) if each.value is not None]
            return [each.key.decode() for each in found] if len(found) >= count else None

        return self.beside.call(until(enough, 60, f"{count} letters"))

    def until_here(self, people: Sequence[str], worker: Worker) -> None:
        """Wait until the joins have the rows of these customers."""
        table = self.name("customers")
        worker.until(lambda _: all(worker.row(table, each)[0] == 200 for each in people), what="all customers")

    def phase(self) -> GrowthPhase:
        """Return where the last growth stands."""
        return self.beside.call(read_growth(Connection(self.kafka), self.prefix)).state.phase

    def judge_joined(self) -> None:
        """Require each call and each order once, with its row."""
        for topic, key, sent in (("answered", "call_id", self.calls), ("joined", "order_id", self.orders)):
            found = self.until(topic, len(sent))
            assert Counter(each[key] for each in found) == Counter(sent), f"{topic}: lost or doubled"
            assert {each["customer_id"]: each["customer"]["name"] for each in found} == self.names


@pytest.fixture
def town(kafka: str, prefix: str, beside: Beside, tmp_path: Path) -> Town:
    return Town(kafka, prefix, beside, tmp_path)


def test_letters_of_before_are_replayed_to_the_step_where_it_is_now(town: Town) -> None:
    worker, other = town.worker(), town.worker("two")
    native, by = town.name("calls"), f"{town.prefix}.{town.name('orders')}.by.customer_id"
    with running(worker, other):
        town.live(PEOPLE)
        ids = town.until_letters(40)
        assert {each.split("/")[0] for each in ids} == {native, by}
        assert town.scale("--partitions", "6", worker=worker)["growth"]["phase"] == "done"
        # Too early: each step has its records, and dead-letters them again, by their own names.
        assert len(town.letters("replay", "--all", worker=worker)["replayed"]) == 40
        again = town.until_letters(80)
        assert Counter(again) == Counter(2 * ids)
        town.live(PEOPLE)
        new = set(town.until_letters(120)) - set(ids)
        assert len(new) == 40
        assert {each.split("/")[0] for each in new} == {f"{town.prefix}.{native}.by.customer_id.g2", f"{by}.g2"}
        assert town.scale("--partitions", "3", worker=worker)["growth"]["phase"] == "done"
        town.settle_in(PEOPLE)
        town.until_here(PEOPLE, worker)
        assert len(town.letters("replay", "--all", worker=worker)["replayed"]) == 80
        town.judge_joined()
        worker.until(lambda status: all(each["lag"] == 0 for each in status["inputs"]), what="no lag")
        assert town.letters("list", worker=worker)["letters"] == []
        assert len(town.until_letters(120)) == 120, "no new letter"
        assert worker.stop() == other.stop() == 0
    town.judge_joined()


def test_a_replay_that_was_on_its_way_when_a_service_was_scaled_reaches_its_step(town: Town) -> None:
    worker, step = town.worker(), f"join {town.name('answered')}"
    with running(worker):
        town.live(PEOPLE[:5])
        town.until_letters(10)
        letters = [each for each in town.records("dead-letters") if dict(each.headers)["larder.step"] == step.encode()]
        assert town.scale("--partitions", "6", worker=worker)["growth"]["phase"] == "done"
        town.settle_in(PEOPLE[:5])
        town.until_here(PEOPLE[:5], worker)
        # As if they had been replayed just before: nobody had read the topic up to its end.
        headers = [("larder.step", step.encode()), ("larder.attempt", b"1")]
        for each in letters:
            partition = int(dict(each.headers)["larder.partition"])
            town.send(
                "calls.replays", [Sent(each.key, each.value, partition, [("larder.replayed", each.key), *headers])]
            )
        found = town.until("answered", 5)
        assert Counter(each["call_id"] for each in found) == Counter(town.calls)
        worker.until_caught_up()
        assert len(town.until_letters(10)) == 10, "no new letter"
        assert worker.stop() == 0
    assert len(town.read("answered")) == 5


def test_no_letter_is_replayed_while_the_workers_pause(town: Town) -> None:
    workers = [town.worker(name, session_timeout_s="60") for name in ("one", "two")]
    with running(*workers):
        town.live(PEOPLE)
        town.until_letters(40)
        for each in workers:
            each.until_running()
        driver, other = sorted(workers, key=_first_input)
        # The driver waits for it, so that the growth stays open.
        other.signal(signal.SIGSTOP)
        other.until_stopped()
        asking = town.ask(6, worker=driver)
        driver.until(lambda _: town.phase() is GrowthPhase.PAUSING, what="a growth")
        refused = town.letters("replay", "--all", worker=driver, code=3)["error"]
        assert "are replayed while the service processes records; found that it is being scaled (pausing)" in refused
        assert f"wait until larder scale {town.prefix} ends, then repeat this command" in refused
        assert len(town.letters("list", worker=driver)["letters"]) == 40
        other.signal(signal.SIGCONT)
        assert asking.result(90)["growth"]["phase"] == "done"
        town.settle_in(PEOPLE)
        town.until_here(PEOPLE, driver)
        assert len(town.letters("replay", "--all", worker=driver)["replayed"]) == 40
        town.judge_joined()
        assert driver.stop() == other.stop() == 0
    assert len(town.until_letters(40)) == 40


def test_a_replay_that_hangs_is_ended_before_the_workers_copy(town: Town) -> None:
    worker = town.worker()
    replays = f"{town.prefix}.{town.name('orders')}.by.customer_id.replays"
    with running(worker):
        worker.until_running()
        with _fenced_at_its_end(town, replays):
            growth = town.scale("--partitions", "6", "--within", "20", worker=worker)["growth"]
            assert (growth["phase"], growth["reason"]) == ("done", None)
        assert worker.stop() == 0
    assert town.beside.call(read(town.kafka, replays)) == []


@contextmanager
def _fenced_at_its_end(town: Town, replays: str) -> Iterator[None]:
    """Keep the transaction of a replay open during the block, and require that it cannot end it."""
    replay = hanging(town.kafka, replays, f"{town.prefix}/dead-letters")
    town.beside.call(replay.__aenter__())
    yield
    with pytest.raises(ProducerFenced):
        town.beside.call(replay.__aexit__(None, None, None))


def _first_input(worker: Worker) -> tuple[str, int]:
    """Return the first partition of an input that a worker has: the driver has the first of all."""
    _, status = worker.get("/services") or (0, {})
    return min((each["topic"], each["partition"]) for each in status["inputs"])
