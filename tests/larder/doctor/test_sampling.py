"""Which ranges of a log are read, and that they are read completely."""

from __future__ import annotations

from hypothesis import given as examples
from hypothesis import strategies as st

from larder.config.connection import Connection
from larder.doctor.sampling import Stretch, sample, stretches
from larder.kafka.readers import reader
from tests.support.audited import state
from tests.support.topics import Sent, create, cut, send

OFFSETS = st.integers(0, 10**6)


@examples(OFFSETS, OFFSETS, st.integers(1, 10**5))
def test_a_sample_lies_in_the_log_and_is_no_larger_than_requested(one: int, other: int, wanted: int) -> None:
    begin, end = sorted((one, other))
    chosen = stretches(begin, end, wanted)
    reached = begin
    for part in chosen:
        assert reached <= part.start < part.stop <= end
        reached = part.stop
    most = sum(min(part.stop - part.start, part.most or end) for part in chosen)
    assert most <= max(wanted, 2)
    if chosen:
        assert (chosen[0].start, chosen[-1].stop) == (begin, end)
    if end - begin <= wanted:
        assert chosen == ((Stretch(begin, end),) if end > begin else ())


@examples(OFFSETS, OFFSETS)
def test_without_a_limit_the_whole_log_is_read(one: int, other: int) -> None:
    begin, end = sorted((one, other))
    assert stretches(begin, end, None) == ((Stretch(begin, end),) if end > begin else ())


def test_a_sample_has_the_oldest_and_the_newest_records() -> None:
    assert stretches(100, 1_000, 10) == (Stretch(100, 995, 5), Stretch(995, 1_000))


async def test_records_that_retention_deletes_meanwhile_are_skipped(kafka: str, prefix: str) -> None:
    topic = f"{prefix}.events"
    await create(kafka, {topic: 1})
    await send(kafka, topic, [Sent("k", {"number": number}, 0) for number in range(20)])
    await cut(kafka, topic, 12, {})
    offsets: list[int] = []
    before = state(topic, begins={0: 0}, ends={0: 20})
    async with reader(Connection(kafka)) as consumer:
        read = await sample(consumer, before, None, lambda _, some: offsets.extend(each.offset for each in some))
    assert (offsets, read.unread) == (list(range(12, 20)), ())
