"""When records are published one by one, and what is known about refused ones."""

from __future__ import annotations

from aiokafka.errors import InvalidTimestampError

from larder.delivery.refused_records import CALM_SECONDS, REFUSALS, Refusals, SentRecord

OLD = SentRecord("joined", b"o1", 1)


def test_outputs_are_only_retried_after_the_first_refusals() -> None:
    refusals = Refusals(lambda: 100.0)
    for _ in range(REFUSALS):
        assert not refusals.careful()
        refusals.refused({})
    assert refusals.careful()


def test_a_refused_record_is_identified_by_topic_key_and_timestamp() -> None:
    refusals = Refusals(lambda: 100.0)
    refusals.refused({OLD: InvalidTimestampError()})
    cause = refusals.cause(*OLD)
    assert cause is not None
    assert cause.startswith("topic joined refuses a record with this key and the timestamp 1 ms: [Error 32]")
    assert refusals.cause(*OLD._replace(timestamp=2)) is None
    assert refusals.cause(*OLD._replace(topic="other")) is None
    assert refusals.cause(*OLD._replace(key=None)) is None


def test_records_are_sent_in_full_batches_again_after_a_while_without_refusals() -> None:
    now = 100.0
    refusals = Refusals(lambda: now)
    for _ in range(REFUSALS):
        refusals.refused({OLD: InvalidTimestampError()})
    now += CALM_SECONDS
    assert refusals.careful()
    now += 0.1
    assert not refusals.careful()
    assert refusals.cause(*OLD) is None
    refusals.refused({})
    assert not refusals.careful()
