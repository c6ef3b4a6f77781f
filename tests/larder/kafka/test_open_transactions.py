"""Open transactions and their producers, by requests that aiokafka does not have."""

from __future__ import annotations

import time

from aiokafka.structs import TopicPartition

from larder.config.connection import Connection
from larder.kafka.admin import Cluster
from larder.kafka.open_transactions import OpenTransaction
from larder.worker.vitals import PartitionUse, Standing
from larder.worker.waiting_behind import waiting_behind, with_lag
from tests.support.topics import create, hanging, send, until

INPUT = PartitionUse("input", "orders", 0)
TP = TopicPartition("orders", 0)


async def test_an_open_transaction_is_found_with_its_producer_and_start(kafka: str, topic: str) -> None:
    await create(kafka, {topic: 2})
    await send(kafka, topic, [(b"k", b"{}")] * 3)
    tps = [TopicPartition(topic, 0), TopicPartition(topic, 1), TopicPartition(f"{topic}.none", 0)]
    async with Cluster(Connection(kafka)) as cluster:
        assert await cluster.open_transactions(tps) == {}
        before = time.time()
        async with hanging(kafka, topic, f"{topic}.billing"):
            ((tp, found),) = (await cluster.open_transactions(tps)).items()
            assert (tp, found.transactional_id) == (tps[0], f"{topic}.billing")
            assert found.began is not None
            assert before - 1 <= found.began <= time.time() + 1

        async def ended() -> bool:
            return await cluster.open_transactions(tps) == {}

        await until(ended, 10, "the end of the transaction")


def test_transactions_are_looked_up_only_for_unexplained_lag() -> None:
    assert with_lag(
        [
            Standing(INPUT, 3, 9, None),
            Standing(INPUT._replace(partition=1), 9, 9, None),
            Standing(INPUT._replace(partition=2), 3, None, None),
            Standing(INPUT._replace(partition=3), 3, 9, "held back"),
            Standing(INPUT._replace(partition=4), 9, 9, None, 11),
        ]
    ) == {INPUT: 3, INPUT._replace(partition=4): 9}


def test_a_partition_waits_only_for_the_transactions_of_others() -> None:
    theirs = OpenTransaction(3, 7, "billing")
    assert waiting_behind({INPUT: 3}, {TP: theirs}, "shop.one") == {INPUT: theirs}
    assert waiting_behind({INPUT: 3}, {TP: theirs}, "billing") == {}, "a restart ends its own"
    assert waiting_behind({INPUT: 2}, {TP: theirs}, "shop.one") == {}, "it has not reached the transaction"
    assert waiting_behind({INPUT: 3}, {}, "shop.one") == {}
