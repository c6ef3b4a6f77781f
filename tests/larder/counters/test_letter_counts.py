"""Dead letters since the start, as plain values."""

from __future__ import annotations

from larder.counters.letter_counts import MOST_CAUSES, letter_counts


def test_dead_letters_are_counted_by_input_with_the_most_frequent_cause() -> None:
    counts = letter_counts({"b": {"no key": 1, "no value": 2}, "a": {"late": 1}, "c": {}}, {"a": 9, "b": 30, "c": 5})
    assert counts["total"] == 4
    assert counts["inputs"] == [
        {"topic": "a", "records": 9, "dead_letters": 1, "cause": "late"},
        {"topic": "b", "records": 30, "dead_letters": 3, "cause": "no value"},
    ]
    assert counts["causes"][0] == {"topic": "b", "cause": "no value", "count": 2}


def test_only_the_most_frequent_causes_are_listed_but_all_are_counted() -> None:
    counts = letter_counts({"a": {f"cause {chr(97 + at)}": at for at in range(1, 15)}}, {})
    assert [each["count"] for each in counts["causes"]] == list(range(14, 14 - MOST_CAUSES, -1))
    assert counts["total"] == sum(range(1, 15))
