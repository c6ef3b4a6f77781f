"""Checksums of record batches, compared with those of aiokafka."""

from __future__ import annotations

import random
from typing import Any

from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given
from hypothesis import strategies as st

from larder.kafka.checksums import are_intact

CODECS = range(5)
HEADER = 61


def batch(count: int, codec: int, size: int = 20) -> bytes:
    chance = random.Random(count)  # noqa: S311 - to be repeated, not to be secret
    builder = DefaultRecordBatchBuilder(
        magic=2, compression_type=codec, is_transactional=0, producer_id=-1, producer_epoch=-1, base_sequence=-1,
        batch_size=1 << 20,
    )  # fmt: skip
    for offset in range(count):
        builder.append(offset, timestamp=offset, key=b"k%d" % offset, value=chance.randbytes(size), headers=[])
    return bytes(builder.build())


def aiokafka_finds(batches: bytes) -> bool:
    records: Any = MemoryRecords(batches)
    while records.has_next():
        if not records.next_batch().validate_crc():
            return False
    return True


@given(st.lists(st.tuples(st.integers(1, 30), st.sampled_from(CODECS)), max_size=4), st.data())
def test_complete_batches_are_intact_wherever_the_answer_ends(
    batches: list[tuple[int, int]], data: st.DataObject
) -> None:
    together = b"".join(batch(*each) for each in batches)
    assert are_intact(together)
    assert are_intact(together[: data.draw(st.integers(0, len(together)))])


@given(st.lists(st.tuples(st.integers(1, 30), st.sampled_from(CODECS)), min_size=1, max_size=3), st.data())
def test_every_damaged_byte_that_aiokafka_detects_is_detected(
    batches: list[tuple[int, int]], data: st.DataObject
) -> None:
    together = bytearray(b"".join(batch(*each) for each in batches))
    # The checksum does not cover offset and length of a batch.
    starts = [len(b"".join(batch(*each) for each in batches[:number])) for number in range(len(batches))]
    checked = [at for at in range(len(together)) if not any(start <= at < start + 16 for start in starts)]
    at = data.draw(st.sampled_from(checked))
    together[at] ^= data.draw(st.integers(1, 255))
    magic = any(at == start + 16 for start in starts)
    assert not are_intact(bytes(together))
    assert magic or not aiokafka_finds(bytes(together))


def test_batches_of_an_older_format_are_left_to_aiokafka() -> None:
    builder = LegacyRecordBatchBuilder(magic=1, compression_type=0, batch_size=1 << 16)
    builder.append(0, timestamp=0, key=b"k", value=b"v" * 40)
    assert not are_intact(bytes(builder.build()))


@given(st.binary(max_size=200))
def test_any_bytes_can_be_checked(garbage: bytes) -> None:
    assert are_intact(garbage) in {True, False}
