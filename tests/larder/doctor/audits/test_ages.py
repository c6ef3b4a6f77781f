"""Old records whose results a broker deletes as soon as they are written."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka.structs import TopicPartition

from larder.doctor.audits.ages import Ages, ways
from larder.doctor.facts import GroupFacts
from larder.doctor.findings import Finding
from larder.doctor.records import ValueReader
from larder.kafka.committed import Committed
from larder.observability.conditions import Severity
from tests.support.audited import changed, found, given, shop, sound

SERVICE, TOPICS = shop()
ORDERS, JOINED = TOPICS["orders"], TOPICS["joined"]
DAY = 86_400_000
NOW = 1_000 * DAY
KEPT_A_WEEK = {"retention.ms": str(7 * DAY), "segment.ms": str(7 * DAY)}


def audit(ages_in_days: list[int], processed: int = 0, config: dict[str, str] | None = None) -> list[Finding]:
    """Return the findings for orders of these ages, the first `processed` of them done, and results kept for a week."""
    system = changed(sound(SERVICE), JOINED.name, {**KEPT_A_WEEK, **(config or {})})
    group = GroupFacts(committed={TopicPartition(ORDERS.name, 0): Committed(processed, "id")})
    system = system._replace(groups={SERVICE.name: group})
    records = [given(offset, "c1", {}, timestamp=NOW - age * DAY) for offset, age in enumerate(ages_in_days)]
    ages = Ages("kafka:9092", ORDERS.name, ways(system, ORDERS.name), NOW)
    return found(ages, ValueReader(ORDERS), {0: records})


def test_a_backfill_whose_results_are_deleted_at_once_is_a_warning_with_the_command() -> None:
    (finding,) = audit([30, 29, 6, 0])
    assert (finding.severity, finding.about) == (Severity.WARNING, "topic shop.joined")
    assert finding.seen == (
        "it keeps results for 7 days (retention.ms); of the records of shop.orders that shipping has yet to process,"
        " 2 in the sample are older"
    )
    assert finding.do[0].endswith("--entity-name shop.joined --add-config retention.ms=-1")
    assert finding.samples[0].offset == 0


def test_an_already_processed_backfill_is_a_hint() -> None:
    (finding,) = audit([30, 29, 6], processed=3)
    assert finding.severity is Severity.HINT
    assert "that shipping has processed, 2 in the sample are older" in finding.seen


def test_records_that_were_new_when_they_were_processed_are_no_finding() -> None:
    assert not audit([13, 8, 6], processed=3)


@pytest.mark.parametrize(
    "config",
    [{"retention.ms": "-1"}, {"message.timestamp.type": "LogAppendTime"}, {"cleanup.policy": "compact"}],
)
def test_results_that_the_broker_keeps_are_no_finding(config: dict[str, Any]) -> None:
    assert not audit([30], config=config)


def test_records_without_a_timestamp_are_no_finding() -> None:
    system = changed(sound(SERVICE), JOINED.name, KEPT_A_WEEK)
    ages = Ages("kafka:9092", ORDERS.name, ways(system, ORDERS.name), NOW)
    assert not found(ages, ValueReader(ORDERS), {0: [given(0, "c1", {}, timestamp=-1)]})
