"""Which letters are meant, and which of them can be replayed."""

from __future__ import annotations

import pytest

from larder.dead_letters.choosing import Chosen, beyond, elsewhere, nameless, obstacle, too_large, uncreated, unread
from larder.dead_letters.letters import Letter, LetterPlace
from larder.declaring.coordinates import Coordinates
from larder.declaring.facts import TopicFacts

LETTER = Letter(
    Coordinates("shop.orders", 5, 7), "s", 1, "shop.customers has no row 'c9'", b"k", b"v", [], None,
    LetterPlace(1, 0, 0),
)  # fmt: skip
FACTS = TopicFacts(6, "delete", 1_000, "id")


@pytest.mark.parametrize(
    ("chosen", "taken"),
    [
        (Chosen(), True),
        (Chosen(frozenset({LETTER.id})), True),
        (Chosen(frozenset({Coordinates("shop.orders", 5, 8)})), False),
        (Chosen(topic="shop.orders"), True),
        (Chosen(topic="shop"), False),
        (Chosen(cause="NO ROW"), True),
        (Chosen(cause="has no row …"), True),
        (Chosen(topic="shop.orders", cause="nested"), False),
    ],
)
def test_letters_are_chosen_by_id_topic_and_cause(chosen: Chosen, *, taken: bool) -> None:
    assert chosen.takes(LETTER) is taken


def test_partitions_that_are_likely_to_have_a_letter_are_read_first() -> None:
    assert Chosen(frozenset({LETTER.id})).partitions(4) == [1, 0, 2, 3]
    assert Chosen().partitions(3) == [0, 1, 2]
    assert Chosen(frozenset({LETTER.id})).partitions(0) == []


def test_a_letter_is_replayed_only_to_a_topic_of_events() -> None:
    assert obstacle(LETTER, FACTS) is None
    compacted = obstacle(LETTER, FACTS._replace(cleanup_policy="compact,delete"))
    assert "an old row would replace a newer one" in (compacted or "")
    assert "requires its partition; found 5" in (obstacle(LETTER, FACTS._replace(partitions=5)) or "")


def test_a_letter_too_large_for_its_topic_is_found_before_it_is_sent() -> None:
    assert too_large(LETTER, "again", [("h", None)], FACTS) is None
    assert "requires at most 1000 bytes in again" in (too_large(LETTER, "again", [("h", b"x" * 900)], FACTS) or "")


def test_a_letter_is_replayed_to_a_step_that_reads_its_partition_again() -> None:
    stepped, partition = LETTER._replace(step="join j"), LETTER.id.partition
    assert beyond(stepped, "again", FACTS._replace(partitions=partition + 1)) is None
    few = beyond(stepped, "again", FACTS._replace(partitions=partition)) or ""
    assert f"requires partition {partition} of again; found {partition} partitions" in few
    assert "found a letter that names none; --republish" in nameless(LETTER)
    assert "found none; start one, or --republish" in uncreated(stepped, "again")


def test_a_letter_whose_step_is_gone_is_republished_only_where_somebody_reads() -> None:
    stepped = LETTER._replace(step="join j")
    gone = elsewhere(stepped, republish=True)
    assert "requires the step 'join j' on an input of s with the records of shop.orders; found none" in gone
    assert "or --republish publishes it for all readers of shop.orders" in gone
    assert "republish" not in elsewhere(stepped, republish=False)
    assert "found shop.orders, which s has left when it was scaled" in unread(stepped)
