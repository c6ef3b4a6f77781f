"""Results of calls that no topic takes: the other side has done its work, so it is not called again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.payments import Customers, paying
from tests.support.beside import Beside
from tests.support.topics import configure


@pytest.mark.timeout(240)
def test_a_result_that_a_topic_does_not_take_is_called_for_once_and_the_calls_behind_it_go_on(
    kafka: str, prefix: str, tmp_path: Path, beside: Beside
) -> None:
    with paying(kafka, tmp_path, prefix, workers=1) as payments:
        customers = Customers(payments, beside, "o")
        ids = [
            *customers.order(1, customer="one", size=900_000),
            *customers.order(2, customer="one", size=2_000_000),
            *customers.order(3, customer="one", size=9_000_000),
            *customers.order(4, customer="one"),
        ]
        assert {each["order_id"] for each in customers.until("paid", 2)} == {ids[0], ids[3]}
        # The worker has read the limit before.
        beside.call(configure(kafka, f"{prefix}.paid", {"max.message.bytes": "2000"}))
        ids += [*customers.order(5, customer="one", size=3_000), *customers.order(6, customer="one")]
        customers.until("paid", 3)
        assert {each["order_id"] for each in customers.results("paid")} == {ids[0], ids[3], ids[5]}
        letters = payments.larder("dead-letters", "list", prefix)["letters"]
        causes = sorted(each["cause"].partition("; found")[0] for each in letters)
        assert causes == [
            f"a record of {prefix}.charge.outcomes requires at most 8388608 bytes",
            f"a record of {prefix}.paid requires at most 1048588 bytes",
            f"a record of {prefix}.paid requires at most 2000 bytes",
        ]
        assert payments.provider.requests == dict.fromkeys(ids, 1)
        assert customers.results("not-paid") == []
