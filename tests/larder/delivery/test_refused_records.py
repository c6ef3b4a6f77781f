"""When records are published one by one, and what is known of those that were refused."""

from __future__ import annotations

from aiokafka.errors import InvalidTimestampError

from larder.delivery.refused_records import CALM_SECONDS, REFUSALS, Refusals, SentRecord

OLD = SentRecord("joined", b"o1", 1)


def test_some_refusals_pass_before_records_are_published_one_by_one() -> None:
    refusals = Refusals(lambda: 100.0)
    for _ in range(REFUSALS):
        assert not refusals.careful()
        refusals.refused({})
    assert refusals.careful()


def test_a_record_that_was_refused_is_known_by_topic_key_and_time() -> None:
    refusals = Refusals(lambda: 100.0)
    refusals.refused({OLD: InvalidTimestampError()})
    cause = refusals.cause(OLD)
    assert cause is not None
    assert cause.startswith("topic joined refuses a record with this key and the timestamp 1 ms: [Error 32]")
    assert refusals.cause(OLD._replace(timestamp=2)) is None
    assert refusals.cause(OLD._replace(topic="other")) is None
    assert refusals.cause(OLD._replace(key=None)) is None


def test_once_it_has_been_calm_for_long_enough_everything_is_as_it_was() -> None:
    now = 100.0
    refusals = Refusals(lambda: now)
    for _ in range(REFUSALS):
        refusals.refused({OLD: InvalidTimestampError()})
    now += CALM_SECONDS
    assert refusals.careful()
    now += 0.1
    assert not refusals.careful()
    assert refusals.cause(OLD) is None
    refusals.refused({})
    assert not refusals.careful()
