"""When a unit of delivery is closed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from larder.processing.pace import PATIENCE, Pace

INTERVAL = 0.2


def paced(*took: float) -> tuple[Pace, float]:
    """Return a pace after commits that took so long, and the time of the last one's end."""
    pace, now = Pace(INTERVAL, 100.0), 100.0
    for seconds in took:
        pace.closed(now)
        now += seconds
        pace.committed(now)
    return pace, now


def test_an_idle_worker_closes_a_unit_at_once() -> None:
    pace, now = paced(0.01, 0.02)
    assert pace.is_due(now, idle=True, awaited=False)
    assert not pace.is_due(now, idle=False, awaited=False)


def test_a_unit_gathers_after_a_commit_that_took_unusually_long() -> None:
    pace, now = paced(0.01, 0.03)
    assert pace.left(now) == pytest.approx(PATIENCE * 0.01)
    assert not pace.is_due(now, idle=True, awaited=False)
    assert pace.is_due(now + PATIENCE * 0.01 + 1e-6, idle=True, awaited=False)


def test_a_fast_commit_ends_the_gathering() -> None:
    pace, now = paced(0.01, 0.03, 0.01)
    assert pace.is_due(now, idle=True, awaited=False)


def test_a_unit_that_a_client_awaits_is_closed_at_once() -> None:
    pace, now = paced(0.01, 0.05)
    assert pace.is_due(now, idle=False, awaited=True)


@given(st.lists(st.floats(0, 30), min_size=1), st.floats(-1e6, 1e6))
def test_no_unit_gathers_longer_than_the_interval_even_if_the_clock_jumps(took: list[float], jump: float) -> None:
    pace, now = paced(*took)
    assert pace.left(now + jump) <= INTERVAL
    assert pace.is_due(now + INTERVAL, idle=True, awaited=False)
    if jump < -sum(took) - 1:
        assert pace.is_due(now + jump, idle=True, awaited=False)


def test_a_clock_that_was_set_back_during_a_commit_makes_no_later_one_slow() -> None:
    pace, now = paced(0.01)
    pace.closed(now)
    now -= 3600
    pace.committed(now)
    assert pace.is_due(now, idle=True, awaited=False)
    pace.closed(now)
    pace.committed(now + 0.01)
    assert pace.is_due(now + 0.01, idle=True, awaited=False)
