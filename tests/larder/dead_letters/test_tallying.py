"""Totals of dead letters by cause: pure."""

from __future__ import annotations

from larder.dead_letters.letters import Letter, LetterPlace
from larder.dead_letters.tallying import MOST_SAMPLES, counted, tally
from larder.declaring.coordinates import Coordinates


def letter(offset: int, cause: str, topic: str = "orders") -> Letter:
    place = LetterPlace(0, offset, 1)
    return Letter(Coordinates(topic, 0, offset), "s", 1, cause, b"k", b"v", [("h", b"v")], None, place)


def by_topic(letter: Letter) -> str:
    return letter.id.topic


def test_letters_are_counted_by_topic_and_cause_the_most_frequent_first() -> None:
    letters = [letter(1, "no value"), *(letter(at, f"no row 'c{at}'") for at in range(2, 12)), letter(3, "late", "x")]
    found = tally(letters, whole=True, subject=by_topic)
    assert found.total == 12
    assert [(each.subject, each.cause, each.letters) for each in found.causes] == [
        ("orders", "no row …", 10),
        ("orders", "no value", 1),
        ("x", "late", 1),
    ]
    assert found.subjects == (("orders", 11, {0: 1}), ("x", 1, {0: 3}))
    assert [each.offset for each in found.causes[0].samples] == list(range(2, 2 + MOST_SAMPLES))


def test_the_counted_part_of_a_letter_is_small_and_counts_the_same() -> None:
    whole = letter(2, "no row 'c2'")
    small = counted(whole)
    assert (small.key, small.value, small.headers, small.identity) == (None, None, [], whole.identity)
    assert tally([small], whole=True, subject=by_topic) == tally([whole], whole=True, subject=by_topic)
