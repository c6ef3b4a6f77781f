"""What is wrong with a service, from what it answers: pure."""

from __future__ import annotations

from typing import Any

import pytest

from larder.observability.conditions import Severity
from larder.pages.partitions import partition_map
from larder.pages.table_troubles import AGE
from larder.pages.troubles import LAG, troubles
from tests.larder.pages.samples import (
    CALLED,
    FELL,
    HELD_WHILE_SCALED,
    TROUBLED,
    TWO,
    counts,
    growth,
    held,
    letters,
    member,
    partition,
    reads,
    scaled,
    services,
    status,
    unsettled,
)


def only(**others: Any) -> Any:
    """The one trouble of a service that is well otherwise."""
    (found,) = troubles(services(**others))
    return found


def test_what_several_workers_hold_back_for_one_cause_is_said_once_and_first() -> None:
    cause = "topic shop.orders: requires the 4 partitions that it had; found 8; create it again"
    other = member(2, 2, 3, told=status("shipping-2", held_back=[cause]))
    found = only(held_back=[cause], workers=[member(1, 0, 1), other])
    assert (found.severity, found.do) == (Severity.ERROR, cause.replace("topic", "Topic", 1))


def test_a_worker_that_lacks_something_and_goes_on_is_named_with_what_to_do() -> None:
    lacks = "open files: requires a limit of 4,096; found 1,024; raise the hard limit"
    found = only(warnings=[lacks])
    assert (found.severity, found.do) == (Severity.WARNING, lacks.replace("open", "Open", 1))


def test_a_service_that_is_well_has_no_troubles() -> None:
    assert troubles(services()) == []


def test_calls_that_cannot_be_made_are_told_once_for_all_workers() -> None:
    found = troubles(services(operators=CALLED["operators"], workers=CALLED["workers"]))
    assert [each.what for each in found] == [
        "What charge calls is down: workers shipping-1, shipping-2 make only trial calls",
        "2 functions of charge on worker shipping-1 do not end though their time is over",
        "As many calls of charge as may wait do so in partitions 0, 1",
    ]
    assert {(each.severity, each.where) for each in found} == {(Severity.WARNING, "/calls/charge")}
    assert found[0].do == "10,643 wait. They go on by themselves once one succeeds"


def test_what_is_worst_comes_first() -> None:
    severities = [each.severity for each in troubles(TROUBLED)]
    assert severities == sorted(severities)
    assert severities[0] is Severity.ERROR
    assert severities[-1] is Severity.HINT


def test_every_trouble_says_what_to_do_and_where_to_look() -> None:
    found = troubles(TROUBLED)
    assert len(found) == 9
    assert all(each.do and each.look and each.where.startswith("/") for each in found)


def test_partitions_that_no_worker_has_are_named_with_the_command_that_serves_them() -> None:
    found = only(workers=[member(1, 0, 1, 5)], partition_counts={"shop.orders": 6})
    assert found.severity is Severity.ERROR
    assert found.what == "No worker serves partitions 2-4 of shop.orders"
    assert found.command == "larder worker shipping --name another"


def test_partitions_behind_the_last_one_that_is_held_are_missed() -> None:
    assert only(partition_counts={"shop.orders": 6}).what == "No worker serves partitions 4, 5 of shop.orders"


def test_a_partition_that_only_a_standby_has_is_not_served() -> None:
    tables = [held("shop.stock", partition(0, "standby"), held="partition")]
    standby = member(1, 0, 1) | {"standby": {"shop.stock": [0]}}
    found = only(tables=tables, workers=[standby, member(2, 2, 3, told=TWO)])
    assert found.what == "No worker serves partition 0 of shop.stock"


def test_no_partition_is_called_unserved_while_the_workers_are_unknown() -> None:
    inputs = [{"topic": "shop.orders", "partition": 3, "position": 1, "end": 1, "lag": 0}]
    found = only(workers=[], inputs=inputs, workers_known=False)
    assert (found.severity, found.what) == (Severity.WARNING, "The other workers of the service are not known")


def test_a_worker_without_a_group_is_not_asked_who_else_is_in_it() -> None:
    assert troubles(services(workers=[member(1)], inputs=[], partition_counts={}, workers_known=False)) == []


def cells(**others: Any) -> dict[str, list[str]]:
    return {each["topic"]: [cell["says"] for cell in each["cells"]] for each in partition_map(services(**others))}


def test_partitions_of_this_worker_are_not_shown_as_those_of_another() -> None:
    waiting = member(1) | {"partitions": {"shipping.waiting": [0]}}
    found = cells(workers=[waiting], partition_counts={"shipping.waiting": 1})
    assert found["shipping.waiting"] == ["processed here; held by shipping-1"]


def test_partitions_of_a_worker_that_does_not_answer_are_shown_as_such() -> None:
    workers = [member(1, 0, 1), member(2, 2, phase="no answer"), member(3, 3, told=TWO)]
    assert cells(workers=workers)["shop.orders"][2:] == [
        "on a worker that does not answer; held by shipping-2",
        "on another worker; held by shipping-3",
    ]


def test_a_standby_here_does_not_hide_that_whoever_processes_the_partition_is_silent() -> None:
    tables = [held("shop.stock", partition(0, "standby"), held="partition")]
    holder = member(2, phase="no answer") | {"partitions": {"shop.stock": [0]}}
    assert cells(tables=tables, workers=[holder])["shop.stock"] == [
        "on a worker that does not answer; held by shipping-2"
    ]


def test_what_is_wrong_on_another_worker_is_said_with_its_name() -> None:
    told = status("shipping-2", tables=[held("shop.stock", partition(2, "recovering"), held="partition")])
    holder = member(2, told=told) | {"partitions": {"shop.stock": [0, 1, 2], "shop.orders": [2, 3]}}
    workers = [member(1, 0, 1), holder]
    assert only(workers=workers).what == "shop.stock: partition 2 is recovering on shipping-2"
    assert cells(workers=workers)["shop.stock"][2] == "recovering; held by shipping-2"


def test_what_several_workers_report_about_a_global_table_is_shown_once() -> None:
    tables = [held("shop.customers", parked=2)]
    workers = [member(1, 0, 1), member(2, 2, 3, told=status("shipping-2", tables=tables))]
    assert only(tables=tables, workers=workers).what == "2 records of shop.customers are not valid rows"


def test_dead_letters_of_all_workers_are_counted_with_their_most_frequent_cause() -> None:
    here = letters(2, cause="no value")
    told = status("shipping-2", dead_letters=letters(3, cause="no partner"))
    found = only(dead_letters=here, workers=[member(1, 0, 1), member(2, 2, 3, told=told)])
    assert found.what == "5 records of shop.orders became dead letters since the workers started: no partner"
    assert (found.severity, found.where) == (Severity.WARNING, "/dead-letters")


def test_what_decides_refused_is_a_note_that_leads_to_the_reasons() -> None:
    decides = [{"name": "shop.levels", "inputs": [], "counts": {"decided": 9, "refused": 5_743}}]
    found = only(decides=decides)
    assert found.what == "The decide on shop.levels refused 5,743 events since the workers started"
    assert (found.severity, found.where) == (Severity.HINT, "/refusals")


def test_an_input_of_which_more_than_a_tenth_became_dead_letters_is_shown_before_all_else() -> None:
    found = troubles(services(dead_letters=letters(17, 160, cause="no key"), held_back=["topic t: found 8"]))
    assert found[0].severity is Severity.ERROR
    assert found[0].what == (
        "17 records of shop.orders, 10.6 % of 160, became dead letters since the workers started: no key"
    )
    assert troubles(services(dead_letters=letters(16, 160)))[0].severity is Severity.WARNING


def test_dead_letters_that_lie_in_their_topic_are_shown_whenever_the_workers_started() -> None:
    found = only(unsettled=unsettled(3, {"0": 100, "1": 100}))
    assert found.what == "3 dead letters of shop.orders are not settled: no key"
    assert (found.severity, found.where) == (Severity.WARNING, "/dead-letters")
    several = unsettled(100_000, {"0": 1}) | {"whole": False}
    assert only(unsettled=several).what.startswith("At least 100,000 dead letters of shop.orders, ")
    assert only(unsettled=unsettled(1, {"0": 1}, "a.table")).what == "1 dead letter of a.table is not settled: no key"


def test_a_tenth_of_the_newest_records_in_dead_letters_comes_first_though_no_worker_counted_them() -> None:
    inputs = [reads(0, 400_000), reads(1, 400_000)]
    workers = [member(1, 0, 1)]
    newest = {"0": 395_000, "1": 395_000}

    def told(count: int, since: dict[str, int]) -> Any:
        held_back, lying = ["topic t: found 8"], unsettled(count, since)
        return troubles(services(unsettled=lying, inputs=inputs, workers=workers, held_back=held_back))

    (first, *_) = told(1_001, newest)
    assert first.severity is Severity.ERROR
    assert (
        first.what == "1,001 dead letters of shop.orders, 10.0 % of the newest 10,000 records, are not settled: no key"
    )
    assert told(1_000, newest)[-1].severity is Severity.WARNING
    assert told(100, {"0": 399_999})[-1].severity is Severity.WARNING, "a share of too few records is none"
    assert told(101, {"0": 399_999})[0].severity is Severity.ERROR
    few = services(unsettled=unsettled(5, {"0": 0}), inputs=[reads(0, 20)], workers=workers)
    assert troubles(few)[0].what.startswith("5 dead letters of shop.orders, 25 % of the newest 20 records,")


def test_an_input_is_said_once_and_worst_by_what_lies_there_or_by_what_came_since_the_start() -> None:
    found = only(dead_letters=letters(300), unsettled=unsettled(302, {"0": 1}))
    assert found.what == "302 dead letters of shop.orders are not settled: no key"
    now = only(dead_letters=letters(70, 100), unsettled=unsettled(72, {"0": 1}))
    assert now.what.startswith("70 records of shop.orders, 70 % of 100, became dead letters since")


def test_dead_letters_that_nobody_could_count_yet_are_a_note() -> None:
    found = only(unsettled=None)
    assert (found.severity, found.what) == (
        Severity.HINT, "The number of dead letters in their topic is not known yet",
    )  # fmt: skip


def test_an_input_whose_causes_are_none_of_the_most_frequent_ones_is_shown_with_its_cause() -> None:
    rare = letters(1, topic="shop.returns", cause="no key")
    often = letters(20)
    both = {"total": 21, "inputs": [*often["inputs"], *rare["inputs"]], "causes": often["causes"]}
    (_, found) = troubles(services(dead_letters=both))
    assert found.what == "1 record of shop.returns became a dead letter since the workers started: no key"


def test_a_recovering_partition_is_said_with_what_is_left_and_its_expected_end() -> None:
    table = held("shop.customers", partition(0), partition(1, "recovering", remaining=12_000, expected_s=80.0))
    found = only(tables=[table])
    assert (found.severity, found.where) == (Severity.WARNING, "/recovery")
    assert found.what == "shop.customers: partition 1 is recovering"
    assert found.do == "12,000 offsets left, done in about 1 min 20 s. Joins with them wait until then"


def test_no_expected_end_is_made_up() -> None:
    table = held("t", partition(0, "recovering", remaining=5, expected_s=None))
    assert "no expected end yet" in only(tables=[table]).do


def test_a_partition_without_a_broker_is_worse_than_one_that_recovers() -> None:
    found = only(tables=[held("t", partition(0, "disconnected", remaining=5, expected_s=1.0))])
    assert found.severity is Severity.ERROR
    assert found.do.endswith("Check that the broker is reachable")


@pytest.mark.parametrize(("age", "said"), [(AGE, False), (AGE + 0.1, True), (None, False)])
def test_rows_that_may_be_old_are_said(age: float | None, *, said: bool) -> None:
    found = troubles(services(tables=[held("t", partition(0, freshness_s=age))]))
    assert bool(found) is said


def test_a_standby_is_no_trouble() -> None:
    holder = member(2, told=TWO) | {"partitions": {"shop.orders": [2, 3], "t": [1]}}
    tables = [held("t", partition(0), partition(1, "standby"), held="partition")]
    assert troubles(services(tables=tables, workers=[member(1, 0, 1), holder])) == []


def test_a_diverging_table_is_said_with_its_coordinates() -> None:
    found = only(tables=[held("t", diverging=FELL)])
    assert found.severity is Severity.ERROR
    assert "c2041 fell from 8 to 3 (partition 2, offset 9177)" in found.what


@pytest.mark.parametrize(("lags", "said"), [((LAG, 0), False), ((LAG, 1), True), ((None, 0), False)])
def test_an_input_that_is_far_behind_is_said_once_for_all_its_partitions(lags: tuple[Any, ...], *, said: bool) -> None:
    inputs = [
        {"topic": "shop.orders", "partition": number, "position": 1, "end": 1, "lag": lag}
        for number, lag in enumerate(lags)
    ]
    assert len(troubles(services(inputs=inputs))) == said


def test_what_a_join_does_as_declared_is_only_noted() -> None:
    join = {"name": "j", "source": "o", "counts": counts(dropped=2, passed_on=1), "waiting": 4}
    assert [(each.severity, each.where) for each in troubles(services(joins=[join]))] == [(Severity.HINT, "/joins")] * 2


def test_parked_rows_of_a_table_are_said() -> None:
    assert only(tables=[held("t", parked=1)]).what == "1 record of t is not a valid row"


def test_a_worker_that_starts_or_does_not_answer_is_said() -> None:
    assert only(phase="starting").what.startswith("Worker shipping-1 is starting")
    found = only(workers=[member(1, 0, 1), member(2, 2, 3, phase="no answer")])
    assert found.what == "Worker shipping-2 does not answer"
    assert found.command == "larder worker shipping --name shipping-2"


def test_a_service_that_is_being_scaled_says_once_what_happens_what_works_and_how_to_follow_it() -> None:
    (found,) = troubles(scaled())
    assert found.severity is Severity.HINT
    assert found.what == "shipping is being scaled to 6 partitions: copying, 2,400 of 10,000 offsets, about 12 s left"
    assert found.do == (
        "The owner of each old partition copies its rows, wake-ups and waiting records. Joins pause; lookups go on. "
        "Follow it"
    )
    assert found.command == "larder scale shipping"


def test_a_service_that_fills_mirrors_says_which_joins_go_on() -> None:
    (found,) = troubles(services(growth=growth("filling")))
    assert found.what == "shipping is being scaled to 6 partitions: filling"
    assert "Joins go on, with a mirrored table once it has all rows; lookups go on." in found.do


def test_a_worker_that_joins_its_group_again_after_a_growth_says_so() -> None:
    (found,) = troubles(services(growth=growth("done"), phase="being scaled to 6 partitions"))
    assert found.what == "shipping is being scaled: the last workers join their group again (done)"


@pytest.mark.parametrize("phase", ["done", "cancelled", "refused"])
def test_a_growth_that_has_ended_is_no_trouble(phase: str) -> None:
    assert troubles(services(growth=growth(phase))) == []


def test_records_that_are_held_back_for_another_reason_are_still_an_error_while_a_service_is_scaled() -> None:
    found = troubles(scaled() | {"held_back": [HELD_WHILE_SCALED, "topic t: found 8"]})
    assert [each.severity for each in found] == [Severity.ERROR, Severity.HINT]


def test_lag_and_old_mirrors_are_no_faults_while_a_service_is_paused() -> None:
    late = {"inputs": [reads(0, end=400_000)], "tables": [held("t", partition(0, freshness_s=AGE + 1))]}
    found = troubles(scaled() | late)
    assert [each.severity for each in found] == [Severity.HINT] * 2
    assert found[1].do == "A table that is mirrored gets no new rows while the service is being scaled"
    assert [each.severity for each in troubles(services(growth=growth("filling"), **late))] == [
        Severity.WARNING, Severity.WARNING, Severity.HINT,
    ]  # fmt: skip
