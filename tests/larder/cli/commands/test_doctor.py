"""`larder doctor` on a real broker: it finds each planted fault, and nothing in a healthy system."""

from __future__ import annotations

import asyncio
import json
import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import TopicPartition

from larder import OwnerTopic, Service
from larder.config.connection import Connection
from larder.config.settings import Settings
from larder.declaring.generations import Generation
from larder.doctor.audits.open_transactions import open_transactions
from larder.doctor.audits.placement import crc32
from larder.doctor.gathering import AuditScope, gather
from larder.kafka.partitioner import partition_of
from larder.kafka.readers import reader
from larder.local_broker import LocalBroker
from tests.larder.store.samples import Customer
from tests.support.topics import (
    COMPACTED,
    Sent,
    configure,
    create,
    cut,
    delete,
    ends,
    existing,
    forget_offsets,
    grow,
    send,
    until,
)
from tests.support.workers import Worker, larder, running

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from larder.doctor.findings import Finding

MODULE = """
    from larder import DeadLetter, EventTopic, OwnerTopic, Row, Service, Wait

    class Customer(Row):
        customer_id: str
        name: str
        revision: int
        nickname: str | None = None

    class Order(Row):
        order_id: str
        customer_id: str

    class Joined(Order):
        customer: Customer

    customers = OwnerTopic("{0}.customers", Customer, key="customer_id", revision="revision", owner="{0}.crm")
    orders = EventTopic("{0}.orders", Order, key="customer_id", owner="{0}.checkout")
    shipping = Service("{0}.shipping")
    shipping.join(orders, shipping.table(customers), into=EventTopic("{0}.joined", Joined, key="customer_id"),
                  missing=Wait(seconds=5).then(DeadLetter))
"""

PARTITIONS = 4
UNAVAILABLE = 3


def customer(key: str, revision: int = 1, **more: Any) -> dict[str, Any]:
    return {"customer_id": key, "name": key, "revision": revision, **more}


def order(key: str) -> dict[str, Any]:
    return {"order_id": f"of-{key}", "customer_id": key}


class DoctorResult(NamedTuple):
    """The exit code of the command, and its findings."""

    code: int
    findings: list[dict[str, Any]]
    read: dict[str, dict[str, Any]]

    def of(self, audit: str, topic: str) -> dict[str, Any]:
        """The only finding of an audit about a topic."""
        (finding,) = (each for each in self.findings if each["audit"] == audit and topic in each["about"])
        return finding


class Patient:
    """A healthy shop: topics as declared, three customers, an order of each."""

    def __init__(self, kafka: str, directory: Path, prefix: str) -> None:
        self.kafka, self.directory, self.prefix = kafka, directory, prefix
        self.customers, self.orders, self.joined = f"{prefix}.customers", f"{prefix}.orders", f"{prefix}.joined"
        self.service = f"{prefix}.shipping"
        self.waiting, self.letters = f"{self.service}.{self.joined}.waiting", f"{self.service}.dead-letters"
        self.module = MODULE.format(prefix)

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return larder(*arguments, kafka=self.kafka, directory=self.directory, module=self.module)

    def doctor(self, *arguments: str) -> DoctorResult:
        """Run the doctor. Leave out findings that a foreign broker may have."""
        ended = self("doctor", "--json", *arguments)
        assert ended.returncode in {0, 10, 11}, ended.stderr
        return self._result(ended)

    def _result(self, ended: subprocess.CompletedProcess[str]) -> DoctorResult:
        answer = json.loads(ended.stdout)
        found = [each for each in answer["findings"] if "KAFKA" not in os.environ or each["about"] != "the brokers"]
        return DoctorResult(ended.returncode, found, answer["read"])

    def doctor_if_available(self) -> DoctorResult | None:
        """Run the doctor; None while the broker does not answer every request."""
        ended = self("doctor", "--json")
        return None if ended.returncode == UNAVAILABLE else self._result(ended)

    async def send(self, topic: str, *records: Sent) -> None:
        await send(self.kafka, topic, records)

    async def send_without_key(self, topic: str, value: Any, partition: int) -> None:
        """Publish a record without a key into a topic that is compacted only later, or the broker would refuse it."""
        await configure(self.kafka, topic, {"cleanup.policy": "delete"})
        await self.send(topic, Sent(None, value, partition))
        await configure(self.kafka, topic, COMPACTED)

    def at(self, topic: str, partition: int, offset: int) -> str:
        return f"{topic}/{partition}/{offset}"


@pytest.fixture
async def patient(kafka: str, tmp_path: Path, prefix: str) -> Patient:
    patient = Patient(kafka, tmp_path, prefix)
    created = patient("topics", "--create")
    assert created.returncode == 0, created.stderr
    await patient.send(patient.customers, *(Sent(key, customer(key)) for key in ("ada", "bo", "cy")))
    await patient.send(patient.orders, *(Sent(key, order(key)) for key in ("ada", "bo", "cy")))
    return patient


async def test_nothing_is_found_in_a_healthy_system(patient: Patient) -> None:
    result = patient.doctor()
    assert (result.code, result.findings) == (0, [])
    assert result.read[patient.customers] == {"records": 3, "of": 3, "all": True}
    worker = Worker(patient.kafka, patient.directory, patient.module, patient.service)
    with running(worker):
        worker.until_caught_up()
        result = patient.doctor()
        assert (result.code, result.findings) == (0, [])
        assert worker.stop() == 0
    result = patient.doctor(patient.service)
    assert (result.code, result.findings) == (0, [])
    assert result.read[patient.joined]["records"] == 3
    assert patient("doctor").stdout.splitlines()[-1] == "nothing found; 9 records of 3 topics read"


async def test_every_bad_record_is_found(patient: Patient) -> None:
    ends_before = await ends(patient.kafka, patient.customers)
    place = partition_of(b"ada", PARTITIONS)
    first = ends_before[place]
    await patient.send(
        patient.customers,
        Sent("ada", customer("ada", 5), place),
        Sent("ada", customer("ada", 4), place),
        Sent("ada", {"customer_id": "ada", "name": "Ada"}, place),
        Sent("ada", customer("ada", 6, name=7), place),
        Sent("ada", customer("ada", 7, nick_name="A"), place),
        Sent("ada", customer("bo", 9), place),
        Sent("ada", b"no JSON", place),
    )
    await patient.send_without_key(patient.customers, customer("ada", 8), place)
    result = patient.doctor()
    assert result.code == 11
    seen = {(each["audit"], each["severity"], sample) for each in result.findings for sample in each["samples"]}
    assert seen == {
        ("revisions", "error", patient.at(patient.customers, place, first + 1)),
        ("revisions", "error", patient.at(patient.customers, place, first + 2)),
        ("schema", "error", patient.at(patient.customers, place, first + 2)),
        ("schema", "error", patient.at(patient.customers, place, first + 3)),
        ("schema", "warning", patient.at(patient.customers, place, first + 4)),
        ("keys", "error", patient.at(patient.customers, place, first + 5)),
        ("schema", "error", patient.at(patient.customers, place, first + 6)),
        ("keys", "error", patient.at(patient.customers, place, first + 7)),
    }
    fell = next(each for each in result.findings if "lower revision" in each["seen"])
    assert f"key ada with 4 after 5 at {patient.at(patient.customers, place, first)}" in fell["seen"]
    assert all(each["why"] and each["do"] for each in result.findings)


async def test_records_of_another_partitioner_are_found_and_it_is_named(patient: Patient) -> None:
    keys = [f"customer-{number}" for number in range(50)]
    await patient.send(patient.customers, *(Sent(key, customer(key), crc32(key.encode(), PARTITIONS)) for key in keys))
    result = patient.doctor()
    finding = result.of("placement", patient.customers)
    assert (result.code, finding["severity"], len(finding["samples"])) == (11, "error", 5)
    misplaced = sum(crc32(key.encode(), PARTITIONS) != partition_of(key.encode(), PARTITIONS) for key in keys)
    assert finding["seen"].startswith(f"{misplaced} of 53 records are in another of 4 partitions")
    assert "all of them fit CRC32 (the default of librdkafka" in finding["seen"]
    assert finding["do"][0] == "set partitioner=murmur2_random in the configuration of the producer (librdkafka)"


async def test_topics_that_differ_from_their_declaration_are_found_and_the_commands_fix_them(
    patient: Patient,
) -> None:
    planted = {
        patient.customers: {"cleanup.policy": "compact,delete"},
        patient.orders: {"cleanup.policy": "compact"},
        patient.waiting: {
            "cleanup.policy": "delete",
            "message.timestamp.type": "LogAppendTime",
            "max.message.bytes": "8388608",
        },
        patient.letters: {
            "retention.ms": "604800000",
            "message.timestamp.type": "LogAppendTime",
            "max.message.bytes": "8388608",
        },
    }
    for topic, config in planted.items():
        await configure(patient.kafka, topic, config)
    result = patient.doctor()
    assert result.code == 11
    found = {(each["audit"], each["about"].removeprefix("topic ")): each for each in result.findings}
    assert set(found) == {
        ("compaction", patient.customers),
        ("compaction", patient.orders),
        ("compaction", patient.waiting),
        ("retention", patient.letters),
    }
    for (_, topic), finding in found.items():
        name, _, value = re.search(r"--add-config (\S+?)(=)(\S+)$", finding["do"][0]).groups()  # type: ignore[union-attr]
        assert f"--entity-name {topic} " in finding["do"][0]
        await configure(patient.kafka, topic, {**planted[topic], name: value})
    assert patient.doctor().findings == []


async def test_tombstones_kept_for_less_than_the_absence_are_found(patient: Patient) -> None:
    assert patient.doctor("--absence", "12h").findings == []
    finding = patient.doctor("--absence", "2d").of("deletions", patient.customers)
    assert finding["severity"] == "warning"
    assert finding["do"][0].endswith("--add-config delete.retention.ms=345600000")


async def test_a_store_older_than_the_retention_of_tombstones_is_found(patient: Patient) -> None:
    worker = Worker(patient.kafka, patient.directory, patient.module, patient.service)
    with running(worker):
        worker.until_caught_up()
        assert worker.stop() == 0
    long_ago = 1_000_000_000
    for path in worker.tables.rglob("*"):
        os.utime(path, (long_ago, long_ago))
    result = patient.doctor()
    finding = result.of("deletions", patient.customers)
    assert (result.code, finding["severity"]) == (0, "hint")
    assert f"worker one of {patient.service}, which is stopped" in finding["seen"]


async def test_different_partition_counts_of_topics_that_are_read_as_they_are_are_found(patient: Patient) -> None:
    topics = (patient.orders, patient.customers)
    settled = Generation(1, dict.fromkeys(topics, 4), dict.fromkeys(topics, ""))
    await patient.send(f"{patient.service}.growth", Sent("1", settled.encode()))
    await grow(patient.kafka, patient.orders, 6)
    result = patient.doctor()
    finding = result.of("partitions", f"{patient.orders} with {patient.customers}")
    assert (result.code, finding["seen"]) == (11, "6 and 4 partitions")
    assert result.of("partitions", patient.waiting)["do"][0].endswith("add no partitions to topics of the service")


async def test_missing_topics_are_findings(patient: Patient) -> None:
    deleted = {patient.customers, patient.letters}
    await delete(patient.kafka, *deleted)

    async def are_deleted() -> bool:
        return deleted.isdisjoint(await existing(patient.kafka, patient.prefix))

    await until(are_deleted, 15, "topics to be deleted")
    result = patient.doctor()
    assert (result.code, {each["audit"] for each in result.findings}) == (10, {"existence"})
    assert result.of("existence", patient.customers)["severity"] == "warning"
    assert result.of("existence", patient.letters)["severity"] == "hint"


async def test_a_broker_without_any_topic_gives_findings(kafka: str, tmp_path: Path, prefix: str) -> None:
    result = Patient(kafka, tmp_path, prefix).doctor()
    assert (result.code, {each["audit"] for each in result.findings}) == (10, {"existence"})


async def test_rows_deleted_from_a_log_are_found(patient: Patient) -> None:
    await patient.send(patient.customers, *(Sent("ada", customer("ada", at), 0) for at in range(2, 5)))
    await cut(patient.kafka, patient.customers, 2, COMPACTED)
    finding = patient.doctor().of("compaction", patient.customers)
    assert finding["samples"] == [patient.at(patient.customers, 0, 2)]


async def test_records_too_large_for_their_output_topic_are_found(patient: Patient) -> None:
    await configure(patient.kafka, patient.joined, {"cleanup.policy": "delete", "max.message.bytes": "20000"})
    await patient.send(patient.orders, Sent("ada", {**order("ada"), "order_id": "x" * 15_000}))
    await patient.send(patient.customers, Sent("ada", customer("ada", 2, name="x" * 10_000)))
    result = patient.doctor()
    assert (result.code, result.of("sizes", patient.orders)["severity"]) == (10, "warning")
    await patient.send(patient.orders, Sent("ada", {**order("ada"), "order_id": "x" * 25_000}))
    result = patient.doctor()
    assert (result.code, len(result.of("sizes", patient.orders)["samples"])) == (11, 1)


async def test_committed_offsets_that_a_worker_would_refuse_are_found(patient: Patient) -> None:
    consumer = AIOKafkaConsumer(bootstrap_servers=patient.kafka, group_id=patient.service, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign([TopicPartition(patient.orders, 1)])
        await consumer.commit({TopicPartition(patient.orders, 1): 999})
    finally:
        await consumer.stop()
    result = patient.doctor()
    assert (result.code, result.of("offsets", patient.orders)["samples"]) == (11, [patient.at(patient.orders, 1, 999)])


async def test_offsets_that_only_a_local_worker_remembers_are_found(patient: Patient) -> None:
    worker = Worker(patient.kafka, patient.directory, patient.module, patient.service)
    with running(worker):
        worker.until_caught_up()
        assert worker.stop() == 0
    await forget_offsets(patient.kafka, patient.service)
    result = patient.doctor()
    assert result.code == 11
    assert {each["audit"] for each in result.findings} == {"offsets"}
    assert all("though this service has committed before" in each["seen"] for each in result.findings)


async def test_contradictory_settings_are_found(patient: Patient) -> None:
    worker = Worker(patient.kafka, patient.directory, patient.module, patient.service)
    (patient.directory / "larder.toml").write_text("session_timeout_s = 4000\nstandby = 1\n")
    with running(worker):
        worker.until_caught_up()
        result = patient.doctor()
        assert worker.stop() == 0
    assert result.code == 11
    assert {(each["audit"], each["severity"]) for each in result.findings} == {
        ("settings", "error"),
        ("settings", "warning"),
    }
    assert "group.max.session.timeout.ms=1800000" in result.of("settings", "session_timeout_s")["seen"]
    assert "one worker in its group" in result.of("settings", patient.service)["seen"]


async def test_more_in_sync_replicas_required_than_exist_is_a_hint_and_records_are_acknowledged(
    patient: Patient,
) -> None:
    await configure(patient.kafka, patient.waiting, COMPACTED | {"min.insync.replicas": "2"})
    await patient.send(patient.waiting, Sent("key", None, 0))
    result = patient.doctor()
    assert result.of("settings", patient.waiting)["severity"] == "hint"


async def test_a_sample_has_the_oldest_and_newest_records_and_all_has_the_rest(patient: Patient) -> None:
    count = 1_000
    rows = [customer("ada", at + 2) for at in range(count)]
    rows[count // 2]["name"] = 7
    place = partition_of(b"ada", PARTITIONS)
    await patient.send(patient.customers, *(Sent("ada", row, place) for row in rows))
    result = patient.doctor("--records", "80")
    assert (result.code, result.findings) == (0, [])
    assert result.read[patient.customers]["records"] <= 80
    assert not result.read[patient.customers]["all"]
    result = patient.doctor("--all")
    assert result.read[patient.customers] == {"records": count + 3, "of": count + 3, "all": True}
    assert len(result.of("schema", patient.customers)["samples"]) == 1


async def hanging(patient: Patient) -> list[Finding]:
    """Return the findings about open transactions, when each counts as long."""
    service = Service(patient.service)
    service.table(OwnerTopic(patient.customers, Customer, key="customer_id", revision="revision", owner="crm"))
    settings = Settings(kafka=patient.kafka, directory=patient.directory)
    async with reader(Connection(patient.kafka)) as consumer:
        asked = AuditScope(Connection(patient.kafka), {service.name: service}, [service.name], settings, None)
        return list(open_transactions(await gather(consumer, asked), long=0.0))


async def test_uncommitted_records_are_not_read_and_their_transaction_is_named(
    patient: Patient,
) -> None:
    async def ended() -> bool:
        return await hanging(patient) == []

    producer = AIOKafkaProducer(bootstrap_servers=patient.kafka, transactional_id=f"{patient.prefix}.bad")
    await producer.start()
    try:
        await producer.begin_transaction()
        await producer.send_and_wait(patient.customers, b"no JSON", key=b"ada")
        await producer.abort_transaction()
        await producer.begin_transaction()
        lies = await producer.send_and_wait(patient.customers, b"no JSON", key=b"ada")
        result = patient.doctor("--all")
        (found,) = await hanging(patient)
        await producer.abort_transaction()
        await until(ended, 10, "the end of the transaction")
    finally:
        await producer.stop()
    assert (result.code, result.findings) == (0, [])
    assert found.about == f"topic {patient.customers}, partition {lies.partition}"
    assert found.seen.endswith(f"transactional id {patient.prefix}.bad")
    assert f"--partition {lies.partition} --start-offset {lies.offset}" in found.do[0]


async def test_a_finding_shows_what_where_why_and_the_fix(patient: Patient) -> None:
    await patient.send_without_key(patient.customers, customer("dee"), 0)
    ended = patient("doctor")
    assert ended.returncode == 11
    offset = (await ends(patient.kafka, patient.customers))[0] - 1
    assert ended.stdout.startswith(
        f"error  topic {patient.customers}: 1 record without a key\n"
        f"    found at  {patient.at(patient.customers, 0, offset)}\n"
        "    why       tables reject such a record, and lack its row\n"
        "    fix       have their producer send customer_id as the key of the message\n"
    )
    assert ended.stdout.splitlines()[-1] == "1 error; 7 records of 3 topics read"


@pytest.mark.timeout(240)  # starts two brokers
async def test_partitions_without_a_broker_are_findings_and_the_others_are_read(tmp_path: Path) -> None:
    first = LocalBroker(tmp_path / "1")
    second = LocalBroker(tmp_path / "2", node_id=2, joins=first)
    try:
        for broker in (first, second):
            broker.start()
            await asyncio.to_thread(broker.wait_ready)
        patient = Patient(first.bootstrap, tmp_path, "two")
        await create(first.bootstrap, {patient.orders: 8})
        await create(first.bootstrap, {patient.customers: 8}, COMPACTED)
        second.kill()

        async def leaderless() -> dict[str, Any] | None:
            # For a while the cluster does not notice that a broker was killed.
            result = patient.doctor_if_available()
            found = [each for each in result.findings if "have no leader" in each["seen"]] if result else []
            return next((each for each in found if patient.orders in each["about"]), None)

        finding = await until(leaderless, 30, "partitions without a leader")
        assert finding["severity"] == "error"
        result = patient.doctor("--all")
        assert result.code == 11
        assert not result.read[patient.orders]["all"]
    finally:
        second.stop()
        first.stop()


def test_an_unknown_service_or_an_invalid_duration_is_a_mistake(kafka: str, tmp_path: Path, prefix: str) -> None:
    patient = Patient(kafka, tmp_path, prefix)
    unknown = patient("doctor", f"{prefix}.shiping")
    assert (unknown.returncode, f"did you mean {patient.service}?" in unknown.stderr) == (2, True)
    assert patient("doctor", "--absence", "soon").returncode == 2


def test_without_a_broker_the_command_prints_one_clear_line(tmp_path: Path, prefix: str) -> None:
    ended = Patient("127.0.0.1:1", tmp_path, prefix)("doctor")
    assert (ended.returncode, ended.stdout) == (3, "")
    assert ended.stderr.startswith("larder: broker 127.0.0.1:1 (setting kafka): requires a Kafka broker that answers")
