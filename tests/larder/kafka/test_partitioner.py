"""Partitions of keys: the same for batches and single keys as in Java's default partitioner."""

from __future__ import annotations

import numpy as np
import pytest
from aiokafka.partitioner import DefaultPartitioner, murmur2
from hypothesis import given
from hypothesis import strategies as st

from larder.kafka.partitioner import partition_of, partitions_of

KEYS = st.lists(st.binary(max_size=40), max_size=120)
ALIKE = st.integers(0, 20).flatmap(lambda size: st.lists(st.binary(min_size=size, max_size=size), max_size=120))


@given(keys=KEYS | ALIKE, count=st.integers(1, 1_000))
def test_a_batch_of_keys_goes_where_each_key_goes(keys: list[bytes], count: int) -> None:
    assert partitions_of(keys, count) == [(murmur2(key) & 0x7FFFFFFF) % count for key in keys]


@given(key=st.binary(max_size=200), count=st.integers(1, 1_000))
def test_a_key_goes_where_the_client_sends_it(key: bytes, count: int) -> None:
    everything = list(range(count))
    assert partition_of(key, count) == DefaultPartitioner()(key, everything, everything)


# From `UtilsTest.testMurmur2` in Kafka's own tests (clients, org.apache.kafka.common.utils).
KNOWN = [
    (b"21", -973932308),
    (b"foobar", -790332482),
    (b"a-little-bit-long-string", -985981536),
    (b"a-little-bit-longer-string", -1486304829),
    (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
    (b"abc", 479470107),
]


@pytest.mark.parametrize(("key", "hashed"), KNOWN)
@pytest.mark.parametrize("copies", [1, 50])
def test_partitions_are_those_of_javas_default_partitioner(key: bytes, hashed: int, copies: int) -> None:
    """Java: `Utils.toPositive(Utils.murmur2(key)) % count`; few keys and many are hashed differently here."""
    for count in (2, 3, 7, 64, 997):
        assert partitions_of([key] * copies, count) == [(hashed & 0x7FFFFFFF) % count] * copies


def test_overflow_in_hashing_gives_no_warning() -> None:
    with np.errstate(all="raise"):
        partitions_of([b"\xff" * 16] * 100, 7)
