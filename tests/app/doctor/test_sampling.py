"""Which stretches of a log are read."""

from __future__ import annotations

from hypothesis import given as examples
from hypothesis import strategies as st

from app.doctor.sampling import Stretch, stretches

OFFSETS = st.integers(0, 10**6)


@examples(OFFSETS, OFFSETS, st.integers(1, 10**5))
def test_what_is_read_lies_in_the_log_and_is_no_more_than_what_was_asked_for(one: int, other: int, wanted: int) -> None:
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
def test_without_a_bound_all_is_read(one: int, other: int) -> None:
    begin, end = sorted((one, other))
    assert stretches(begin, end, None) == ((Stretch(begin, end),) if end > begin else ())


def test_half_are_the_oldest_and_half_the_newest() -> None:
    assert stretches(100, 1_000, 10) == (Stretch(100, 995, 5), Stretch(995, 1_000))
