"""Problems of topics, settings and workers that facts alone show."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from aiokafka.structs import TopicPartition

from larder import DeadLetter, Decision, Service, Wait
from larder.config.settings import Settings
from larder.dead_letters.tallying import CauseCount, Tally
from larder.declaring.coordinates import Coordinates
from larder.declaring.problems import Problem
from larder.doctor.audits.compaction import compaction
from larder.doctor.audits.deletions import READ_RATE, deletions
from larder.doctor.audits.existence import leaderless, missing_topics
from larder.doctor.audits.group_offsets import group_offsets
from larder.doctor.audits.letters import letters
from larder.doctor.audits.open_transactions import open_transactions
from larder.doctor.audits.owners import owners
from larder.doctor.audits.partners import partners
from larder.doctor.audits.retention import retention
from larder.doctor.audits.settings import together
from larder.doctor.audits.transactions import transactions
from larder.doctor.audits.workers import workers
from larder.doctor.examining import OF_FACTS, examine
from larder.doctor.facts import Absence, GroupFacts, System, WorkerState, duration
from larder.doctor.findings import Finding, exit_code, in_order
from larder.doctor.sampling import Read
from larder.kafka.committed import Committed
from larder.kafka.open_transactions import OpenTransaction
from larder.kafka.topic_metadata import Described
from larder.observability.conditions import Severity
from tests.larder.pages.samples import CALLED, HELD_WHILE_SCALED, growth
from tests.support.audited import STOCK, Order, changed, shop, sound, state

SERVICE, TOPICS = shop()
CUSTOMERS, ORDERS = "shop.customers", "shop.orders"
WAITING, LETTERS = "shipping.shop.joined.waiting", "shipping.dead-letters"
REPLAYS = "shipping.shop.orders.replays"
DAY = 86_400

HEALTHY = sound(SERVICE)


def one(found: Iterator[Finding]) -> Finding:
    (finding,) = found
    return finding


def brokers(system: System, count: int = 3, replicas: int | None = 3, **config: str) -> System:
    """Return the system with other brokers; `a__b` stands for the setting a.b."""
    dotted = {name.replace("__", "."): value for name, value in config.items()}
    return system._replace(
        brokers=STOCK._replace(up=count, config={**STOCK.config, **dotted}, transaction_replicas=replicas)
    )


@pytest.mark.parametrize("audit", OF_FACTS)
def test_a_healthy_system_has_no_finding(audit: Callable[[System], Iterator[Finding]]) -> None:
    assert not list(audit(HEALTHY))


def test_a_missing_topic_is_a_warning_and_a_missing_internal_topic_a_hint() -> None:
    gone = {name: topic for name, topic in HEALTHY.topics.items() if name not in {CUSTOMERS, WAITING}}
    findings = list(missing_topics(HEALTHY._replace(topics=gone)))
    assert [(each.about, each.severity, each.do) for each in findings] == [
        (f"topic {CUSTOMERS}", Severity.WARNING, ("larder topics --create",)),
        (f"topic {WAITING}", Severity.HINT, ("larder topics shipping --create",)),
    ]


def test_an_internal_topic_that_the_broker_refuses_to_create_is_an_error_with_the_reason() -> None:
    gone = {name: topic for name, topic in HEALTHY.topics.items() if name != LETTERS}
    refused = Problem(f"topic {LETTERS}", "requires a broker that creates it", "a refusal: not allowed", "allow it")
    found = one(missing_topics(HEALTHY._replace(topics=gone, refusals={LETTERS: refused})))
    assert (found.severity, found.do) == (Severity.ERROR, ("allow it", "larder topics shipping --create"))
    assert found.seen.endswith("refuses to create it for this client: a refusal: not allowed")


def test_a_system_without_any_topic_is_audited() -> None:
    found = examine(HEALTHY._replace(topics={}), {}, {})
    assert {each.audit for each in found} == {"existence"}


@pytest.mark.parametrize(
    ("topic", "policy", "wanted"),
    [
        (CUSTOMERS, "delete", "compact"),
        (CUSTOMERS, "compact,delete", "compact"),
        (WAITING, "delete", "compact"),
        (ORDERS, "compact", "delete"),
    ],
)
def test_an_undeclared_cleanup_policy_is_an_error_with_the_command(topic: str, policy: str, wanted: str) -> None:
    finding = one(compaction(changed(HEALTHY, topic, {"cleanup.policy": policy})))
    assert (finding.severity, finding.do) == (
        Severity.ERROR,
        (
            (
                "kafka-configs.sh --bootstrap-server kafka:9092 --alter --entity-type topics"
                f" --entity-name {topic} --add-config cleanup.policy={wanted}"
            ),
        ),
    )


def test_rows_deleted_from_a_log_are_a_finding_and_deleted_events_are_not() -> None:
    finding = one(compaction(changed(HEALTHY, CUSTOMERS, begins={0: 0, 1: 7, 2: 0, 3: 9})))
    assert [str(place) for place in finding.samples] == [f"{CUSTOMERS}/1/7", f"{CUSTOMERS}/3/9"]
    assert finding.do[1] == "larder worker shipping --tables-from earliest"
    assert not list(compaction(changed(HEALTHY, ORDERS, begins={0: 5, 1: 0, 2: 0, 3: 0})))


def test_brokers_that_never_compact_are_found() -> None:
    assert "log.cleaner.enable=false" in one(compaction(brokers(HEALTHY, log__cleaner__enable="false"))).seen
    ratio = brokers(HEALTHY, log__cleaner__min__cleanable__ratio="1.0")
    assert "min.cleanable" in one(compaction(ratio)).seen


def test_deletions_have_to_be_kept_for_the_longest_absence() -> None:
    away = HEALTHY._replace(absences=[Absence("the longest absence", 3 * DAY, expected=True)])
    finding = one(deletions(away))
    assert (finding.severity, finding.about) == (Severity.WARNING, f"topic {CUSTOMERS}")
    assert finding.seen == "deletions are kept for 24 h (delete.retention.ms); the longest absence: 3 days"
    assert finding.do[0].endswith("--add-config delete.retention.ms=518400000")
    assert not list(deletions(changed(away, CUSTOMERS, {"delete.retention.ms": str(3 * DAY * 1000)})))


def test_an_observed_absence_longer_than_expected_is_a_hint() -> None:
    observed, expected = Absence("worker one, which is stopped", 9 * DAY), Absence("expected", DAY / 2, expected=True)
    finding = one(deletions(HEALTHY._replace(absences=[observed, expected])))
    assert finding.severity is Severity.HINT
    assert "worker one, which is stopped: 9 days" in finding.seen


def test_deletions_kept_for_a_second_are_an_error() -> None:
    assert one(deletions(changed(HEALTHY, CUSTOMERS, {"delete.retention.ms": "1000"}))).severity is Severity.ERROR


def test_deletions_have_to_be_kept_for_the_duration_of_a_full_read() -> None:
    kept = {"delete.retention.ms": "60000"}
    assert not list(deletions(changed(HEALTHY, CUSTOMERS, kept, ends={0: 60 * READ_RATE}, begins={0: 0})))
    finding = one(deletions(changed(HEALTHY, CUSTOMERS, kept, ends={0: 61 * READ_RATE}, begins={0: 0})))
    assert finding.severity is Severity.WARNING


def test_partners_with_different_partition_counts_are_an_error_with_both_fixes() -> None:
    findings = list(partners(changed(HEALTHY, CUSTOMERS, ends=dict.fromkeys(range(6), 0))))
    assert (findings[0].severity, findings[0].seen) == (Severity.ERROR, "4 and 6 partitions")
    assert findings[0].do == (
        (
            'use shop.orders.by("customer_id") instead of the topic itself, or hold shop.customers with'
            " shipping.global_table"
        ),
        (
            "or, while shop.orders is empty: kafka-topics.sh --bootstrap-server kafka:9092 --alter --topic shop.orders"
            " --partitions 6"
        ),
    )


def test_a_waiting_topic_needs_as_many_partitions_as_its_input() -> None:
    service = Service("shipping")
    held = service.global_table(TOPICS["customers"])
    wait = Wait(9).then(DeadLetter)
    service.join(TOPICS["orders"], held.on("customer_id"), into=TOPICS["joined"], missing=wait)
    few = one(partners(changed(sound(service), WAITING, ends={0: 0})))
    assert few.do == ("kafka-topics.sh --bootstrap-server kafka:9092 --alter --topic " + WAITING + " --partitions 4",)
    many = one(partners(changed(sound(service), WAITING, ends=dict.fromkeys(range(5), 0))))
    assert "cannot be removed" in many.do[0]


def test_no_finding_advises_adding_partitions_to_a_topic_that_determines_placement() -> None:
    waiting = one(partners(changed(HEALTHY, WAITING, ends={0: 0})))
    assert waiting.do[0].endswith("add no partitions to topics of the service")


def test_partners_that_both_grew_after_the_first_read_are_an_error() -> None:
    before = {name: Described(HEALTHY.topics[name].topic_id, 4) for name in (CUSTOMERS, ORDERS)}
    known = HEALTHY._replace(placed={"shipping": [before, before, {}]})
    assert not list(partners(known))
    grown = known
    for name in (CUSTOMERS, ORDERS, WAITING):
        grown = changed(grown, name, ends=dict.fromkeys(range(8), 0))
    findings = list(partners(grown))
    assert [each.about for each in findings] == [f"service shipping, topic {name}" for name in (CUSTOMERS, ORDERS)]
    assert findings[0].seen == "8 partitions; a worker here first read it with 4"
    assert findings[0].do == (f"create {CUSTOMERS} again with 4 partitions, and write its records again",)
    other = {name: topic._replace(topic_id="another") for name, topic in before.items()}
    assert not list(partners(grown._replace(placed={"shipping": [other]}))), (
        "the count of an earlier topic does not matter"
    )


def test_a_state_and_its_inputs_are_partners() -> None:
    service = Service("crm")
    state_of = service.table(TOPICS["customers"])

    @service.decide(TOPICS["orders"], state=state_of)
    def ignore(_event: Order, _row: Any) -> Decision:
        return Decision()

    assert not list(partners(sound(service)))
    found = one(partners(changed(sound(service), ORDERS, ends=dict.fromkeys(range(5), 0))))
    assert "5 and 4" in found.seen
    assert "add no partitions" in found.do[0]


def test_a_claim_of_a_service_other_than_the_declared_owner_is_an_error() -> None:
    declared = {CUSTOMERS: "crm", ORDERS: ""}
    assert not list(owners(HEALTHY._replace(owners=declared, claims={CUSTOMERS: "crm", ORDERS: "x"})))
    finding = one(owners(HEALTHY._replace(owners=declared, claims={CUSTOMERS: "sales"})))
    assert (finding.severity, finding.seen) == (Severity.ERROR, "claimed by sales; crm is declared as its owner")
    assert finding.do[0].startswith(f"larder topics --release {CUSTOMERS}")


@pytest.mark.parametrize(
    ("topic", "name", "value", "fix"),
    [
        (LETTERS, "retention.ms", "604800000", "-1"),
        (LETTERS, "retention.bytes", "1000000", "-1"),
        (LETTERS, "max.message.bytes", "1048588", str(8 * 1024 * 1024)),
        (WAITING, "message.timestamp.type", "CreateTime", "LogAppendTime"),
        (REPLAYS, "retention.bytes", "1000000", "-1"),
        (REPLAYS, "message.timestamp.after.max.ms", "3600000", str(2**63 - 1)),
    ],
)
def test_an_internal_topic_with_changed_settings_is_a_warning(topic: str, name: str, value: str, fix: str) -> None:
    finding = one(retention(changed(HEALTHY, topic, {name: value})))
    assert (finding.severity, finding.about) == (Severity.WARNING, f"topic {topic}")
    assert finding.seen.startswith(f"{name}={value}; ")
    assert finding.do[0].endswith(f"--entity-name {topic} --add-config {name}={fix}")


def test_an_internal_topic_may_have_higher_limits_than_at_its_creation() -> None:
    assert not list(retention(changed(HEALTHY, LETTERS, {"max.message.bytes": "99999999"})))


def test_events_have_to_be_kept_for_the_longest_expected_absence() -> None:
    away = HEALTHY._replace(absences=[Absence("the longest absence", 8 * DAY, expected=True)])
    finding = one(each for each in retention(away) if each.about == f"topic {ORDERS}")
    assert finding.seen == "events are kept for 7 days (retention.ms); the longest absence: 8 days"
    assert not list(retention(changed(away, ORDERS, {"retention.ms": "-1"})))
    observed = HEALTHY._replace(absences=[Absence("worker one, which is stopped", 8 * DAY)])
    assert not list(retention(observed))


def test_a_claims_topic_without_compaction_is_an_error() -> None:
    topics = {**HEALTHY.topics, "larder.owners": state("larder.owners", 1, {"cleanup.policy": "delete"})}
    assert one(retention(HEALTHY._replace(topics=topics))).severity is Severity.ERROR


def test_offsets_that_expire_within_a_week_or_an_absence_are_a_warning() -> None:
    finding = one(group_offsets(brokers(HEALTHY, offsets__retention__minutes="1440")))
    assert (finding.severity, finding.do) == (
        Severity.WARNING,
        ("set offsets.retention.minutes=10080 in server.properties of each broker, and restart them one by one",),
    )
    away = HEALTHY._replace(absences=[Absence("the longest absence", 30 * DAY, expected=True)])
    assert "the longest absence: 30 days" in one(group_offsets(away)).seen


def committed(offset: int, topic_id: str = "id") -> System:
    log = changed(HEALTHY, ORDERS, begins=dict.fromkeys(range(4), 10), ends=dict.fromkeys(range(4), 20))
    offsets = {TopicPartition(ORDERS, at): Committed(offset if at == 2 else 15, topic_id) for at in range(4)}
    return log._replace(groups={"shipping": GroupFacts((), offsets)})


def test_offsets_that_a_worker_would_refuse_are_an_error_with_their_place() -> None:
    assert not list(group_offsets(committed(20)))
    for offset in (9, 21):
        finding = one(group_offsets(committed(offset)))
        assert [str(place) for place in finding.samples] == [f"{ORDERS}/2/{offset}"]
        assert finding.do[0].startswith("larder worker shipping --inputs-from earliest")
    assert len(list(group_offsets(committed(15, "another")))) == 4


def test_offsets_that_only_a_worker_remembers_are_an_error() -> None:
    lost = HEALTHY._replace(groups={"shipping": GroupFacts()}, remembered={"shipping": {ORDERS: "id"}})
    assert {each.seen for each in group_offsets(lost)} == {
        "committed offset: none, though this service has committed before"
    }


@pytest.mark.parametrize(("seconds", "name"), [(1.5, "group.min"), (2_000.0, "group.max")])
def test_a_session_timeout_that_the_brokers_refuse_is_an_error(seconds: float, name: str) -> None:
    finding = one(together(HEALTHY._replace(settings=Settings(session_timeout_s=seconds))))
    assert (finding.severity, name in finding.seen) == (Severity.ERROR, True)


def test_transactions_that_one_broker_cannot_do_are_an_error_if_they_are_needed() -> None:
    single = brokers(HEALTHY, count=1, replicas=None)
    finding = one(transactions(single))
    assert finding.seen == "transaction.state.log.replication.factor=3; brokers that are up: 1"
    assert finding.do[0].startswith("set transaction.state.log.replication.factor=1 in server.properties")
    assert not list(transactions(single._replace(settings=Settings(guarantee="at_least_once"))))
    ready = {"transaction__state__log__replication__factor": "1", "transaction__state__log__min__isr": "1"}
    assert not list(transactions(brokers(HEALTHY, count=1, replicas=1, **ready)))
    assert not list(transactions(brokers(HEALTHY, count=1, replicas=None, **ready)))


def test_a_transaction_log_with_one_replica_among_several_brokers_is_a_warning() -> None:
    few = brokers(HEALTHY, replicas=1)
    lone = one(transactions(few._replace(brokers=few.brokers._replace(transaction_in_sync=1))))
    assert lone.severity is Severity.WARNING


@pytest.mark.parametrize("made", [True, False])
def test_a_transaction_log_with_a_minimum_above_its_replicas_is_a_hint(*, made: bool) -> None:
    config = {"transaction__state__log__replication__factor": "1", "transaction__state__log__min__isr": "2"}
    single = brokers(HEALTHY, count=1, replicas=1 if made else None, **config)
    finding = one(transactions(single._replace(brokers=single.brokers._replace(transaction_in_sync=2 if made else 0))))
    assert (finding.severity, "since 3.7 require only 1 of them" in finding.why) == (Severity.HINT, True)
    if made:
        assert finding.do[0].endswith("--entity-name __transaction_state --add-config min.insync.replicas=1")


def test_transactions_that_expire_before_their_commit_are_an_error() -> None:
    assert (
        "commit_interval_ms" in one(transactions(HEALTHY._replace(settings=Settings(commit_interval_ms=10_000)))).about
    )
    assert "workers need 10000" in one(transactions(brokers(HEALTHY, transaction__max__timeout__ms="5000"))).seen


def test_a_standby_needs_a_second_worker() -> None:
    standby = HEALTHY._replace(settings=Settings(standby=1), groups={"shipping": GroupFacts(("shipping.one",))})
    finding = one(together(standby))
    assert (finding.severity, finding.do) == (Severity.WARNING, ("larder worker shipping --name shipping-2",))
    assert not list(together(standby._replace(groups={"shipping": GroupFacts(("one", "two"))})))
    assert not list(together(standby._replace(groups={})))


def test_other_clients_in_the_group_of_a_service_are_an_error() -> None:
    finding = one(workers(HEALTHY._replace(groups={"shipping": GroupFacts(foreign=("curious at /10.0.0.1",))})))
    assert (finding.severity, finding.about) == (Severity.ERROR, "group shipping")
    assert finding.seen.endswith("not workers of the service: curious at /10.0.0.1")


def test_more_workers_than_partitions_are_a_hint() -> None:
    busy = committed(15)
    five = busy._replace(groups={"shipping": busy.groups["shipping"]._replace(workers=("a", "b", "c", "d", "e"))})
    assert one(together(five)).severity is Severity.HINT


def test_a_state_needs_exactly_once() -> None:
    service = Service("crm")
    service.fold(TOPICS["orders"], state=service.table(TOPICS["customers"]))
    finding = one(together(sound(service)._replace(settings=Settings(guarantee="at_least_once"))))
    assert "would be decided on twice" in finding.why


def test_a_minimum_above_the_replicas_is_a_hint_for_written_topics() -> None:
    finding = one(together(changed(HEALTHY, LETTERS, {"min.insync.replicas": "4"})))
    assert (finding.severity, "since 3.7 require only 3 of them" in finding.why) == (Severity.HINT, True)
    assert not list(together(changed(HEALTHY, ORDERS, {"min.insync.replicas": "4"})))


def test_unclean_leader_election_is_a_warning() -> None:
    assert one(together(brokers(HEALTHY, unclean__leader__election__enable="true"))).severity is Severity.WARNING


def test_an_open_transaction_is_a_warning_with_its_producer_and_the_command() -> None:
    tp, theirs = TopicPartition(ORDERS, 2), OpenTransaction(7, 4, "billing", began=1_000.0)
    finding = one(open_transactions(HEALTHY._replace(open_transactions={tp: theirs}, now_ms=1_060_000)))
    assert (finding.severity, finding.about) == (Severity.WARNING, f"topic {ORDERS}, partition 2")
    assert finding.seen == "an open transaction, for 1 min: transactional id billing"
    assert finding.do[0].endswith(f"abort --topic {ORDERS} --partition 2 --start-offset 7")
    assert not list(open_transactions(HEALTHY._replace(open_transactions={tp: theirs}, now_ms=1_020_000)))
    unknown = OpenTransaction(7, 4)
    finding = one(open_transactions(HEALTHY._replace(open_transactions={tp: unknown}, now_ms=1_020_000)))
    assert finding.seen.endswith("for an unknown time: producer 4, whose transactional id the brokers do not tell")


def test_unsettled_dead_letters_are_one_warning_with_causes_and_commands() -> None:
    causes = (
        CauseCount(ORDERS, "no key", 280_872, (Coordinates(ORDERS, 1, 7), Coordinates(ORDERS, 1, 5))),
        CauseCount(ORDERS, "no value", 3, (Coordinates(ORDERS, 0, 2),)),
    )
    found = one(letters(HEALTHY._replace(letters={"shipping": Tally(280_880, causes, whole=False)})))
    assert (found.severity, found.about) == (Severity.WARNING, f"dead letters in {LETTERS}")
    assert found.seen == (
        f"at least 280,880 dead letters are not settled: 280,872 of {ORDERS}: no key; 3 of {ORDERS}: no value;"
        " 5 of other causes"
    )
    assert list(map(str, found.samples)) == [f"{ORDERS}/1/7", f"{ORDERS}/0/2", f"{ORDERS}/1/5"]
    assert f"larder dead-letters show shipping {ORDERS}/1/7" in found.do[0]
    assert "larder dead-letters replay shipping --cause" in found.do[1]


def test_settled_dead_letters_are_no_finding() -> None:
    assert not list(letters(HEALTHY._replace(letters={"shipping": Tally(0, (), whole=True)})))


def table(**more: Any) -> WorkerState:
    status = {
        "phase": "running",
        "tables": [{"table": CUSTOMERS, "held": "global", "diverging": None, "parked": 0, **more}],
    }
    return WorkerState("shipping", "one", status)


def test_a_worker_that_is_being_scaled_is_only_noted() -> None:
    status = {"phase": "being scaled to 6 partitions", "growth": growth(), "held_back": [HELD_WHILE_SCALED]}
    found = one(workers(HEALTHY._replace(workers=[WorkerState("shipping", "one", status)])))
    assert (found.severity, found.seen) == (
        Severity.HINT, "being scaled to 6 partitions: copying, 1,200 of 5,000 offsets, about 12 s left",
    )  # fmt: skip
    assert found.do == ("wait, or follow it: larder scale shipping",)


def test_problems_that_workers_report_are_findings() -> None:
    assert not list(workers(HEALTHY._replace(workers=[table()])))
    silent = WorkerState("shipping", "one", None)
    assert "does not answer" in one(workers(HEALTHY._replace(workers=[silent]))).seen
    assert not list(workers(HEALTHY._replace(workers=[silent._replace(service="another")])))
    waiting = WorkerState("shipping", "one", {"phase": "waiting for the broker at kafka:9092"})
    assert one(workers(HEALTHY._replace(workers=[waiting]))).seen == "waiting for the broker at kafka:9092"
    assert one(workers(HEALTHY._replace(workers=[table(parked=3)]))).seen.startswith("3 rejected records")
    assert one(workers(HEALTHY._replace(workers=[table(parked=3)]))).seen.endswith("kept in its store")
    divided = one(workers(HEALTHY._replace(workers=[table(parked=3, held="partition")])))
    assert divided.seen == "3 rejected records, in shipping.dead-letters"
    reported = {
        "phase": "running",
        "held_back": ["state s, partition 1: cannot be read"],
        "decides": [{"name": CUSTOMERS}],
    }
    back = one(workers(HEALTHY._replace(workers=[WorkerState("shipping", "one", reported)])))
    assert (back.severity, back.seen) == (
        Severity.ERROR, "records are held back: state s, partition 1: cannot be read"
    )  # fmt: skip
    low = {"phase": "running", "warnings": ["open files: requires a limit of 4,096"]}
    lacks = one(workers(HEALTHY._replace(workers=[WorkerState("shipping", "one", low)])))
    assert (lacks.severity, lacks.seen) == (Severity.WARNING, "open files: requires a limit of 4,096")
    held = table(parked=3, held="partition")
    held = held._replace(status={**(held.status or {}), "decides": [{"name": CUSTOMERS}]})
    state = one(workers(HEALTHY._replace(workers=[held])))
    assert state.seen == "3 rejected records, in shipping.dead-letters, without those that hold its decide back"
    fell = {"key": "c1", "partition": 2, "offset": 9, "revision": 1, "earlier_offset": 4, "earlier_revision": 5}
    finding = one(workers(HEALTHY._replace(workers=[table(diverging=fell)])))
    assert [str(place) for place in finding.samples] == [f"{CUSTOMERS}/2/9", f"{CUSTOMERS}/2/4"]


def test_calls_that_cannot_be_made_are_findings() -> None:
    status = {"phase": "running", "operators": CALLED["operators"]}
    found = list(workers(HEALTHY._replace(workers=[WorkerState("shipping", "one", status)])))
    assert {(each.severity, each.about) for each in found} == {
        (Severity.WARNING, "worker one of shipping, call charge")
    }
    assert [each.seen for each in found] == [
        "what it calls is down: one call from time to time is tried, and 10,431 wait",
        "2 functions not ended though the time is over",
        "as many calls as at_most allows wait in partitions 0, 1",
    ]
    assert found[2].do == ("see what the calls wait for: larder calls list shipping charge",)


def test_a_partition_that_returns_no_records_is_an_error() -> None:
    findings = examine(HEALTHY, {}, {ORDERS: Read(0, 10, whole=False, unread=(1, 3))})
    assert [(each.severity, each.about) for each in findings] == [(Severity.ERROR, f"topic {ORDERS}")]
    assert "partitions 1, 3 returned no records" in findings[0].seen


def test_a_partition_without_a_leader_is_an_error_and_its_offsets_are_not_checked() -> None:
    led = committed(15)
    unled = changed(led, ORDERS, leaderless=(2,), begins={**led.topics[ORDERS].begins, 2: 0}, ends={2: 0})
    finding = one(leaderless(unled))
    assert (finding.severity, "partitions 2 of" in finding.seen) == (Severity.ERROR, True)
    assert not list(group_offsets(unled))


def test_the_worst_finding_comes_first_and_determines_the_exit_code() -> None:
    hint, warning, error = (Finding(each, "audit", "about", "seen", "why", ("do",)) for each in Severity)
    assert in_order([hint, error, warning, error]) == [error, warning, hint]
    assert [exit_code([]), exit_code([hint]), exit_code([hint, warning]), exit_code([error, hint])] == [0, 0, 10, 11]


@pytest.mark.parametrize(
    ("seconds", "shown"), [(10, "10 s"), (90, "1.5 min"), (3_600, "1 h"), (DAY, "24 h"), (7 * DAY, "7 days")]
)
def test_durations_are_shown_in_readable_units(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown
