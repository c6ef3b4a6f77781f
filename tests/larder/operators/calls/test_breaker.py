"""A breaker opens when the other side is down, and not for one bad event or for quick failures beside successes."""

from __future__ import annotations

from larder.operators.calls.breaker import LONGEST_SECONDS, OPENS_AT, Breaker, BreakerState


def fail(breaker: Breaker, *keys: str, began: float, now: float) -> list[bool]:
    return [breaker.failed(key, key.encode(), began, now) for key in keys]


def opened(now: float = 10.0) -> Breaker:
    breaker = Breaker()
    assert all(fail(breaker, *"abcde", began=now - 1, now=now)), "these count: the outage was not known"
    assert breaker.state is BreakerState.OPEN
    return breaker


def test_failures_of_one_key_do_not_open_it() -> None:
    breaker = Breaker()
    assert all(fail(breaker, *"a" * 100, began=1, now=2))
    assert breaker.admits(2)


def test_quick_failures_beside_slow_successes_do_not_open_it() -> None:
    breaker = Breaker()
    for turn in range(10):
        fail(breaker, *"abcd", began=turn, now=turn)
        breaker.succeeded(turn)
    breaker.succeeded(11)
    assert all(fail(breaker, *"abcdefg", began=10, now=12)), "they began before the last success did"
    assert breaker.state is BreakerState.CLOSED


def test_it_opens_after_failures_of_several_keys_and_admits_one_trial() -> None:
    breaker = opened()
    assert OPENS_AT == 5
    assert not breaker.admits(10.9)
    assert breaker.admits(11)
    breaker.begin("f")
    assert breaker.state is BreakerState.HALF_OPEN
    assert not breaker.admits(12)
    breaker.succeeded(11)
    assert breaker.state is BreakerState.CLOSED


def test_failures_while_it_is_not_closed_do_not_count_and_trials_come_more_and_more_rarely() -> None:
    breaker, now, pauses = opened(), 10.0, []
    for turn in range(8):
        until = breaker.until
        pauses.append(until - now)
        now = until
        breaker.begin(f"t{turn}")
        assert fail(breaker, "late", began=9, now=now) == [False]
        assert fail(breaker, f"t{turn}", began=now, now=now) == [False]
    assert pauses == [1, 2, 4, 8, 16, LONGEST_SECONDS, LONGEST_SECONDS, LONGEST_SECONDS]


def test_a_call_that_began_before_it_opened_does_not_close_it() -> None:
    breaker = opened()
    breaker.succeeded(9)
    assert breaker.state is BreakerState.OPEN


def test_a_trial_that_does_not_begin_leaves_the_place_to_another() -> None:
    breaker = opened()
    breaker.begin("t")
    breaker.drop("t")
    assert breaker.admits(11)
