"""Dead letters since the start, as plain values: pure."""

from __future__ import annotations

from larder.counters.letter_counts import MOST_CAUSES, letter_counts


def test_dead_letters_are_counted_by_input_with_its_records_and_its_most_frequent_cause() -> None:
    told = letter_counts({"b": {"no key": 1, "no value": 2}, "a": {"late": 1}, "c": {}}, {"a": 9, "b": 30, "c": 5})
    assert told["total"] == 4
    assert told["inputs"] == [
        {"topic": "a", "records": 9, "dead_letters": 1, "cause": "late"},
        {"topic": "b", "records": 30, "dead_letters": 3, "cause": "no value"},
    ]
    assert told["causes"][0] == {"topic": "b", "cause": "no value", "count": 2}


def test_of_many_causes_the_most_frequent_ones_are_told_and_all_are_counted() -> None:
    told = letter_counts({"a": {f"cause {chr(97 + at)}": at for at in range(1, 15)}}, {})
    assert [each["count"] for each in told["causes"]] == list(range(14, 14 - MOST_CAUSES, -1))
    assert told["total"] == sum(range(1, 15))
