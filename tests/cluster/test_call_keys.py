"""The idempotency keys that Larder makes: the other side does not take one event for another."""

from __future__ import annotations

from pathlib import Path

from tests.cluster.payments import Customers, paying
from tests.cluster.stages import create_again
from tests.support.beside import Beside
from tests.support.eventually import eventually
from tests.support.workers import Worker, running

OWN_KEYS = "otherwise=gave_up, timeout={timeout}, retry=Retry(first=0.2, most=1.0, within=60.0, attempts=3)"


def test_an_event_at_the_same_place_of_a_topic_that_was_created_again_has_another_idempotency_key(
    kafka: str, prefix: str, tmp_path: Path, beside: Beside
) -> None:
    with paying(kafka, tmp_path, prefix, workers=1, options=OWN_KEYS, source="orders") as payments:
        (before,), provider = payments.workers, payments.provider
        customers = Customers(payments, beside, "o")
        customers.order(1)
        customers.until("paid", 1)
        assert before.stop() == 0
        beside.call(create_again(kafka, f"{prefix}.orders", 4))
        customers.order(1)
        after = Worker(kafka, tmp_path, before.module, prefix, arguments=("--inputs-from", "earliest"))
        with running(after):
            requests = eventually(lambda: dict(provider.requests), lambda found: sum(found.values()) == 2)
            customers.until("paid", 2)
            assert after.stop() == 0
        assert [*requests.values()] == [1, 1]
        (old, *place), (new, *same_place) = (key.split("/") for key in requests)
        assert (place, place[1], old != new) == (same_place, "0", True)
