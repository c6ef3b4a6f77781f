"""Whether a worker lives, and whether it is ready: what it is judged by, look after look."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from larder.observability.health import NOTHING, STALL_SECONDS, Look, live, look, ready
from larder.worker.vitals import PartitionUse, Standing, Vitals

INPUT, OTHER = PartitionUse("input", "orders", 0), PartitionUse("input", "orders", 1)
TABLE = PartitionUse("table", "customers", 0)


def vitals(
    *partitions: tuple[Any, ...],
    doing: str = "running",
    answers: bool = True,
    joined: bool = True,
    tables: dict[str, bool] | None = None,
) -> Vitals:
    """`partitions` as (place, position, end), with an excuse if there is one."""
    standing = tuple(Standing(*each, *[None] * (4 - len(each))) for each in partitions)
    return Vitals(doing, answers, joined, tables or {}, standing)


def looks(*seen: Vitals, every: float = 10.0) -> Look:
    """Looks that are made one after the other."""
    looked = NOTHING
    for number, each in enumerate(seen):
        looked = look(looked, each, 1_000 + every * number)
    return looked


BEHIND = vitals((INPUT, 5, 9))

CASES = {
    "nothing is assigned": (True, [vitals()] * 9),
    "no lag": (True, [vitals((INPUT, 9, 9))] * 9),
    "lag, at the first look": (True, [BEHIND]),
    "lag, for less than the limit": (True, [BEHIND] * 3),
    "lag, and the position stands still": (False, [BEHIND] * 4),
    "lag, and the position moves": (True, [vitals((INPUT, 5 + number, 90)) for number in range(9)]),
    "lag that grows, and the position stands still": (False, [vitals((INPUT, 5, 9 + n)) for n in range(4)]),
    "lag that has just come, after hours at the end": (True, [*[vitals((INPUT, 5, 5))] * 99, *[BEHIND] * 3]),
    "one of two partitions stands still": (
        False, [vitals((INPUT, 5, 9), (OTHER, number, 99)) for number in range(4)],
    ),
    "a table stands still": (False, [vitals((TABLE, 5, 9))] * 4),
    "the end is not known": (True, [vitals((TABLE, 5, None))] * 9),
    "the end was known, and is measured again": (False, [vitals((TABLE, 5, 9)), *[vitals((TABLE, 5, None))] * 3]),
    "the end was met, and is measured again": (True, [vitals((TABLE, 5, 9)), *[vitals((TABLE, 9, None))] * 9]),
    "a rebuilt table whose end is not known": (True, [vitals((TABLE, 5, 9)), *[vitals((TABLE, 0, None))] * 9]),
    "a rebuild moves the position, too": (True, [*[vitals((TABLE, 5, 9))] * 3, vitals((TABLE, 0, 9))]),
    "held back on purpose": (True, [vitals((INPUT, 5, 9, "held back"))] * 9),
    "held back until just now": (True, [*[vitals((INPUT, 5, 9, "held back"))] * 9, *[BEHIND] * 3]),
    "no longer held back": (False, [vitals((INPUT, 5, 9, "held back")), *[BEHIND] * 4]),
    "held back behind a table that stands still": (
        False, [vitals((INPUT, 5, 9, "held back"), (TABLE, 5, 9))] * 4,
    ),
    "the broker is away": (True, [vitals((INPUT, 5, 9), (TABLE, 5, 9), answers=False)] * 9),
    "the broker is back, and a request of before is not given up yet": (
        True, [vitals((INPUT, 5, 9), answers=False), *[BEHIND] * 5],
    ),
    "the broker is back for long": (False, [vitals((INPUT, 5, 9), answers=False), *[BEHIND] * 6]),
    "the partition went and came back": (True, [*[BEHIND] * 3, vitals(), *[BEHIND] * 3]),
}  # fmt: skip


@pytest.mark.parametrize(("lives", "seen"), CASES.values(), ids=CASES.keys())
def test_a_worker_lives_unless_a_restart_would_mend_what_stands_still(lives: bool, seen: list[Vitals]) -> None:  # noqa: FBT001
    assert live(looks(*seen)).good is lives


def test_who_is_not_live_says_which_partition_where_and_for_how_long() -> None:
    verdict = live(looks(*[vitals((INPUT, 5, 9), (OTHER, 9, 9), (TABLE, 5, 6, "held back"))] * 4))
    (reason,) = verdict.reasons
    assert reason == {
        "input": "orders", "partition": 0, "position": 5, "end": 9, "lag": 4, "still_s": 30.0,
        "why": "its position has not moved for 30 s: a restart may fix that",
    }  # fmt: skip
    assert [(each["table"], each["why"]) for each in verdict.besides] == [("customers", "held back")]


def test_a_process_that_was_paused_has_not_stood_still_meanwhile() -> None:
    looked = look(look(NOTHING, BEHIND, 0.0), BEHIND, 3_600.0)
    assert live(looked).good
    assert not live(look(looked, BEHIND, 3_620.0)).good, "it had as long as any other one"


def test_the_limit_can_be_another_one() -> None:
    assert not live(looks(BEHIND, BEHIND, every=2.0), limit=2.0).good
    assert live(looks(BEHIND, BEHIND, every=1.0), limit=2.0).good


POSITIONS = st.integers(0, 3)
STANDINGS = st.builds(
    Standing, st.sampled_from([INPUT, OTHER, TABLE]), POSITIONS, POSITIONS | st.none(), st.none() | st.just("held")
)
LOOKS = st.lists(
    st.tuples(
        st.lists(STANDINGS, max_size=3, unique_by=lambda each: each.place).map(tuple),
        st.booleans(),
        st.floats(0.0, 100.0),
    ),
    max_size=12,
)


@given(seen=LOOKS, limit=st.floats(0.01, 60.0))
def test_no_lag_never_means_not_live(seen: list[tuple[tuple[Standing, ...], bool, float]], limit: float) -> None:
    looked, now = NOTHING, 0.0
    for partitions, answers, passed in seen:
        now += passed
        without = tuple(each._replace(position=each.end or each.position) for each in partitions)
        looked = look(looked, Vitals("running", answers, True, {}, without), now)  # noqa: FBT003
        assert live(looked, limit).good


@given(seen=LOOKS)
def test_who_is_not_live_has_lag_at_a_position_that_was_the_same_for_the_whole_limit(
    seen: list[tuple[tuple[Standing, ...], bool, float]],
) -> None:
    looked, now = NOTHING, 0.0
    since: dict[PartitionUse, float] = {}
    for partitions, answers, passed in seen:
        now += passed
        before = looked.stands
        looked = look(looked, Vitals("running", answers, True, {}, partitions), now)  # noqa: FBT003
        there = {each.place for each in partitions}
        since = {place: at for place, at in since.items() if place in there}
        for place, stand in looked.stands.items():
            if (
                not answers
                or stand.excuse
                or not stand.lag
                or stand.position != getattr(before.get(place), "position", -1)
            ):
                since[place] = now
        for reason in live(looked).reasons:
            kind = "input" if "input" in reason else "table"
            assert reason["lag"] > 0
            assert now - since[PartitionUse(kind, reason[kind], reason["partition"])] >= STALL_SECONDS


@pytest.mark.parametrize(
    ("good", "seen"),
    [
        (True, vitals(tables={"customers": True})),
        (False, vitals(tables={"customers": True, "products": False})),
        (False, vitals(tables={"customers": True}, joined=False)),
        (True, vitals()),
        (True, vitals(tables={"customers": True}, answers=False)),
    ],
)
def test_ready_is_who_was_caught_up_once_and_has_its_part_of_the_work(good: bool, seen: Vitals) -> None:  # noqa: FBT001
    assert ready(seen).good is good


def test_who_stops_is_not_ready() -> None:
    assert ready(vitals(doing="running")).good
    assert not ready(vitals(doing="stopping")).good


def test_who_is_not_ready_says_which_table_is_not_and_what_it_does() -> None:
    verdict = ready(vitals(tables={"customers": True, "products": False}, joined=False))
    assert [each.get("table") for each in verdict.reasons] == ["products", None]
    assert verdict.reasons[1]["why"] == "the group has not been joined: running"


def test_who_was_ready_stays_ready_while_it_joins_again_or_gets_new_tables_and_says_what_it_lacks() -> None:
    scaled = vitals(doing="being scaled to 6 partitions", tables={"customers": False}, joined=False)
    assert not ready(scaled).good
    verdict = ready(scaled, before=True)
    assert verdict.good
    assert [each["why"] for each in verdict.besides] == [
        "it has not been caught up since the worker started",
        "the group has not been joined: being scaled to 6 partitions",
    ]
    assert not ready(vitals(doing="stopping"), before=True).good
