"""Rates are worked out from looks that are far enough apart, and not too far."""

from __future__ import annotations

from larder.observability.rates import Rates


def test_a_rate_is_what_was_counted_since_an_earlier_look() -> None:
    rates = Rates()
    assert rates.look({"topic:a": 10}, 0.0) == {}
    assert rates.look({"topic:a": 30, "topic:b": 4}, 2.0) == {"topic:a": 10.0, "topic:b": 2.0}


def test_looks_that_follow_each_other_at_once_do_not_make_up_rates() -> None:
    rates = Rates()
    rates.look({"topic:a": 0}, 0.0)
    assert rates.look({"topic:a": 100}, 0.1) == {}
    assert rates.look({"topic:a": 100}, 1.0) == {"topic:a": 100.0}


def test_a_look_of_long_ago_does_not_count() -> None:
    rates = Rates()
    rates.look({"topic:a": 0}, 0.0)
    assert rates.look({"topic:a": 1_000_000}, 61.0) == {}
