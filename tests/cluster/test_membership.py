"""Workers that start and stop while orders arrive."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.cluster.shops import KINDS, PARTITIONS, SIGNED, Shop
from tests.support.workers import Worker, none_left, running


@pytest.mark.parametrize("kind", KINDS)
def test_workers_come_and_go_and_every_order_is_joined_with_a_row_of_its_customer(
    shop: Shop, kind: str, measured: Callable[[str], None]
) -> None:
    module = shop.module(KINDS[kind], SIGNED, missing="Wait(seconds=60).then(DeadLetter)")
    one, two, three, four = workers = [shop.worker(module, name) for name in ("one", "two", "three", "four")]
    late = [f"late{number}" for number in range(8)]

    def processed_again(since: float, event: str) -> None:
        shop.joined.until(shop.order_everywhere())
        measured(f"{kind}: {event}: a partition stood still for at most {shop.longest_pause(since, kind):.2f} s")

    with none_left(*workers):
        with running(one, two), shop.open():
            _until_shared(one, two)
            shop.order(len(late) * 2, late)
            shop.joined.until(shop.order_everywhere())
            since = time.monotonic()
            three.start()
            four.start()
            _until_shared(*workers)
            processed_again(since, "two workers join two")
            shop.publish(late[::2])
            since = time.monotonic()
            assert one.stop() == 0
            _until_shared(two, three, four)
            processed_again(since, "one of four leaves")
            since = time.monotonic()
            two.kill()
            _until_shared(three, four)
            processed_again(since, "one of three is killed (session timeout 1.5 s)")
            shop.publish(late[1::2])
        shop.judge()
    shop.judge_ages(workers)
    assert not shop.dead_letters()


def _until_shared(*workers: Worker, timeout: float = 30) -> None:
    """Wait until each worker has partitions, and together they have all."""
    deadline = time.monotonic() + timeout
    while True:
        shares = [_inputs(worker) for worker in workers]
        if all(shares) and _are_whole(shares):
            return
        assert time.monotonic() < deadline, f"waited {timeout} s for all partitions to be shared; last {shares}"
        time.sleep(0.02)


def _inputs(worker: Worker) -> list[tuple[str, int]]:
    assert worker.alive(), worker.text[-4000:]
    _, status = worker.get("/services") or (0, {"inputs": []})
    return [(each["topic"], each["partition"]) for each in status["inputs"]]


def _partitions(worker: Worker) -> set[int]:
    """Return the worker's partitions of the rekeyed orders."""
    return {partition for topic, partition in _inputs(worker) if ".by." in topic}


def _are_whole(shares: list[list[tuple[str, int]]]) -> bool:
    """Return whether each partition of each topic is there once."""
    given = sorted(each for share in shares for each in share)
    return given == sorted(
        (topic, partition) for topic in {topic for topic, _ in given} for partition in range(PARTITIONS)
    )


def test_a_worker_that_blocks_for_too_long_loses_its_partitions_and_comes_back(
    shop: Shop, measured: Callable[[str], None]
) -> None:
    module = shop.module(KINDS["copartitioned"], BLOCKING.replace("{directory}", str(shop.directory)))
    one, two = workers = [shop.worker(module, name, poll_interval_s="1") for name in ("one", "two")]
    with running(*workers):
        _until_shared(one, two)
        blocked, other = (one, two) if shop.published["c0"][0].partition in _partitions(one) else (two, one)
        since = time.monotonic()
        shop.order_as("block", "c0")
        other.until(
            lambda status: len(status["inputs"]) == 2 * PARTITIONS, 10, "all partitions, while the other blocks"
        )
        measured(f"a worker that blocks for 1 s has lost its partitions after {time.monotonic() - since:.1f} s")
        shop.joined.until(shop.order_everywhere())
        assert blocked.alive()
        (shop.directory / "go on").touch()
        _until_shared(one, two)
        shop.joined.until(shop.order_everywhere())
        shop.judge()
        assert [worker.stop() for worker in workers] == [0, 0]


# The first process that reads this order blocks until the file `go on` exists.
BLOCKING = """
(join,) = service.joins

@join
def blocking(order: Order, customer: Customer) -> Joined | None:
    directory = pathlib.Path("{directory}")
    if order.order_id == "block":
        with contextlib.suppress(FileExistsError):
            (directory / "blocked").touch(exist_ok=False)
            while not (directory / "go on").exists():
                time.sleep(0.01)
    return Joined(order_id=order.order_id, customer_id=order.customer_id, number=order.number, customer=customer)
"""


AUDIT = """
@service.agent(orders)
async def audit(batches):
    async for batch in batches:
        pass
"""


@pytest.mark.parametrize("declared", [KINDS["copartitioned"], AUDIT], ids=["copartitioned", "without tables"])
def test_a_second_worker_of_the_same_name_is_refused(shop: Shop, declared: str) -> None:
    first, second = workers = [shop.worker(shop.module(declared)) for _ in range(2)]
    second.log = shop.directory / "second.log"
    with none_left(*workers):
        first.start().until_logged("answers at")
        assert second.start().exit_code() == 2
        assert second.text.startswith(f"larder: worker one of {shop.prefix}: requires a name that no other worker has")
        assert len(second.text.splitlines()) == 1, second.text
        assert first.alive()
        # The name is free as soon as the first worker has ended.
        first.kill()
        second.start().until_logged("answers at")
        assert second.stop() == 0
