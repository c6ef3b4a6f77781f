"""The clock of a process."""

from __future__ import annotations

import time

import pytest

from larder import clock


def test_the_clock_runs_on_when_the_wall_clock_is_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    before = clock.now()
    assert before == pytest.approx(time.time(), abs=60)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert before <= clock.now() < before + 60
