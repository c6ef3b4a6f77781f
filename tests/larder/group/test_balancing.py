"""Assignments for any claims are complete and even, move few partitions, and put them where their rows are."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from itertools import product

from hypothesis import example, given
from hypothesis import strategies as st

from larder.group.balancing import MOVE_OFFSETS, MemberClaim, balance, share

costs = st.tuples(st.integers(0, 6), st.integers(1, 4)).flatmap(
    lambda size: st.lists(
        st.lists(st.integers(0, 9), min_size=size[1], max_size=size[1]), min_size=size[0], max_size=size[0]
    )
)


@st.composite
def claims(draw: st.DrawFn) -> tuple[int, dict[str, MemberClaim]]:
    """The number of partitions, and for each member which of them it had and how far it has read them."""
    partitions, names = draw(st.integers(1, 9)), [f"m{number}" for number in range(draw(st.integers(1, 5)))]
    had = draw(st.lists(st.sampled_from([*names, None]), min_size=partitions, max_size=partitions))
    numbers = st.integers(0, partitions - 1)
    return partitions, {
        name: MemberClaim(
            [number for number, owner in enumerate(had) if owner == name],
            draw(st.frozensets(numbers)),
            draw(st.dictionaries(numbers, st.integers(0, 100))),
        )
        for name in names
    }


def _is_even(counts: Sequence[int]) -> bool:
    return max(counts) - min(counts) <= 1


@example([[0, 9, 9], [9, 0, 9], [9, 0, 1], [0, 9, 9]])  # the larger quota moves from the second to the first
@given(costs)
def test_no_even_assignment_is_cheaper(rows: list[list[int]]) -> None:
    columns = len(rows[0]) if rows else 1
    given_ = balance(rows)
    assert len(given_) == len(rows)
    ways = [
        way
        for way in product(range(columns), repeat=len(rows))
        if _is_even([way.count(column) for column in range(columns)])
    ]
    assert tuple(given_) in ways
    assert _cost(rows, given_) == min(_cost(rows, way) for way in ways)


def _cost(rows: list[list[int]], way: Sequence[int]) -> int:
    return sum(row[column] for row, column in zip(rows, way, strict=True))


@given(claims())
def test_each_partition_is_assigned_once_and_members_get_equally_many(
    group: tuple[int, dict[str, MemberClaim]],
) -> None:
    partitions, members = group
    shares = share(partitions, members, standby=True)
    assert sorted(number for each in shares.values() for number in each.active) == list(range(partitions))
    assert _is_even([len(each.active) for each in shares.values()])
    standbys = sorted(number for each in shares.values() for number in each.standby)
    assert standbys == (list(range(partitions)) if len(members) > 1 else [])
    assert _is_even([len(each.standby) for each in shares.values()])
    assert not any(each.active & each.standby for each in shares.values())


@given(claims())
def test_no_more_partitions_move_than_necessary(group: tuple[int, dict[str, MemberClaim]]) -> None:
    partitions, members = group
    shares = share(partitions, members, standby=False)
    quota, extra = divmod(partitions, len(members))
    had = sorted((len(claim.had) for claim in members.values()), reverse=True)
    # The members that had most get the larger quotas.
    most = sum(min(count, quota + (place < extra)) for place, count in enumerate(had))
    assert sum(len(shares[name].active.intersection(claim.had)) for name, claim in members.items()) == most


@given(claims())
def test_an_assignment_is_stable(group: tuple[int, dict[str, MemberClaim]]) -> None:
    partitions, members = group
    shares = share(partitions, members, standby=True)
    again = {
        name: MemberClaim(shares[name].active, shares[name].standby, claim.reached) for name, claim in members.items()
    }  # fmt: skip
    assert share(partitions, again, standby=True) == shares


def test_standbys_take_over_the_partitions_of_a_lost_member() -> None:
    rows = dict.fromkeys((0, 1, 2, 3), 10)
    members = {"a": MemberClaim((0, 1), (5,), {**rows, 5: 9}), "b": MemberClaim((2, 3), (4,), {**rows, 4: 9})}
    shares = share(6, members, standby=True)
    assert (shares["a"].active, shares["b"].active) == ({0, 1, 5}, {2, 3, 4})
    assert (shares["a"].standby, shares["b"].standby) == ({2, 3, 4}, {0, 1, 5})


def test_the_member_that_has_read_most_is_preferred() -> None:
    members = {
        "cold": MemberClaim(),
        "old": MemberClaim(reached={0: 50, 1: 50}),
        "new": MemberClaim(reached={0: 90, 1: 100}),
    }
    assert share(1, members, standby=False)["new"].active == {0}
    two = share(2, members, standby=False)
    assert (two["cold"].active, two["old"].active, two["new"].active) == (set(), {0}, {1})
    assert share(1, members, standby=True)["old"].standby == {0}


def test_only_a_member_that_is_far_behind_loses_a_partition_it_had() -> None:
    far, near = MOVE_OFFSETS + 2, MOVE_OFFSETS - 2
    shares = share(
        2, {"a": MemberClaim((0, 1), (), {1: 2}), "b": MemberClaim((), (), {0: far, 1: near})}, standby=False
    )
    assert (shares["a"].active, shares["b"].active) == ({1}, {0})
    assert share(1, {"a": MemberClaim((0,)), "b": MemberClaim((), (), {0: far})}, standby=False)["b"].active == {0}
    assert share(1, {"a": MemberClaim((0,)), "b": MemberClaim((), (), {0: near})}, standby=False)["a"].active == {0}


def test_a_newcomer_gets_the_partitions_whose_rows_it_has() -> None:
    members = {
        "stays": MemberClaim(range(4), (), dict.fromkeys(range(4), 100)),
        "comes back": MemberClaim((), (), {1: 99, 3: 98}),
    }
    assert share(4, members, standby=False)["comes back"].active == {1, 3}


def test_many_partitions_and_members_are_assigned_quickly() -> None:
    members = {
        f"m{number}": MemberClaim(range(number * 25, number * 25 + 25), (), {number * 25: 7}) for number in range(20)
    }  # fmt: skip
    del members["m3"]
    began = time.process_time()
    shares = share(500, members, standby=True)
    assert time.process_time() - began < 5
    assert Counter(len(each.active) for each in shares.values()) == {26: 13, 27: 6}
