"""The order of a story, and what it says about its steps."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from larder.config.errors import MistakeError
from larder.declaring.coordinates import Coordinates
from larder.tracing.story import Story, StoryStep, described, notes, told
from larder.tracing.times import time_range


def step(offset: int, at: int, cause: int | None = None) -> StoryStep:
    of = None if cause is None else Coordinates("t", 0, cause)
    return StoryStep(Coordinates("t", 0, offset), at, "record", "k", "s", "w", "a", of)


STEPS = st.lists(st.tuples(st.integers(0, 50), st.none() | st.integers(0, 8)), max_size=8)


@given(STEPS)
def test_a_step_comes_after_its_cause_whatever_the_clocks_say(given_: list[tuple[int, int | None]]) -> None:
    steps = [step(offset, at, cause) for offset, (at, cause) in enumerate(given_)]
    found = told(steps)
    assert sorted(each.step for each in found) == sorted(steps)
    assert all(one.at <= other.at for one, other in pairwise(found))
    place = {each.step.place: number for number, each in enumerate(found)}
    for each in found:
        chain, cause = {each.step.place}, each.step.cause
        while cause in place and cause not in chain:
            chain.add(cause)
            cause = found[place[cause]].step.cause
        if each.step.cause in place and cause not in place:
            assert place[each.step.cause] < place[each.step.place], "no circle leads to it"
            assert (each.latency or 0) >= 0
        if each.step.cause not in place:
            assert each.latency is None
            assert each.at == each.step.at


def test_a_step_before_its_cause_by_another_clock_is_shown_at_the_time_of_its_cause() -> None:
    first, second, third = told([step(3, 150, 2), step(1, 100), step(2, 90, 1)])
    assert [(each.step.place.offset, each.at, each.latency) for each in (first, second, third)] == [
        (1, 100, None), (2, 100, 0), (3, 150, 50),
    ]  # fmt: skip


def test_a_story_says_what_it_lacks() -> None:
    empty = described(Story("k", 0, 1000, (), (), 1, 5, ["shop.returns"], whole=False))
    assert [each.partition(": ")[0] for each in notes(empty)] == [
        "no record of 'k' from 1970-01-01T00:00:00.000+00:00 to 1970-01-01T00:00:01.000+00:00",
        "the story is not complete",
        "topics that do not exist",
    ]
    whole = Story("k", 0, 1000, told([step(1, 5)]), ("a",), 1, 5, (), whole=True)
    assert notes(described(whole)) == []
    (note,) = notes(described(whole._replace(traces=())))
    assert note.startswith("no record has a trace")


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [
        (None, None, (6_400_000, 10_000_000)),
        ("90m", "30s", (4_600_000, 9_970_000)),
        ("3d", None, (0, 10_000_000)),
        ("1970-01-01T01:00", "1970-01-01T03:00:00+01:00", (3_600_000, 7_200_000)),
    ],
)
def test_times_are_how_long_ago_or_a_point_in_time(
    since: str | None, until: str | None, expected: tuple[int, int]
) -> None:
    assert time_range(since, until, 10_000.0) == expected


@pytest.mark.parametrize(
    ("since", "until", "part"),
    [("yesterday", None, "requires how long ago"), ("1h", "tomorrow", "until"), ("5m", "1h", "before until")],
)
def test_other_times_are_refused(since: str, until: str | None, part: str) -> None:
    with pytest.raises(MistakeError, match=part):
        time_range(since, until, 100_000.0)
