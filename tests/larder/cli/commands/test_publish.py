"""`larder publish`: rows are checked, then sent under their own key. One bad row stops all of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from larder.kafka.partitioner import partition_of
from larder.store import read_token
from tests.support.topics import read
from tests.support.workers import larder

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Publish = Callable[..., subprocess.CompletedProcess[str]]

MODULE = """
    from larder import EventTopic, OwnerTopic, Row, Service

    class Customer(Row):
        customer_id: str
        name: str
        revision: int

    class Visit(Row):
        number: int
        customer_id: str

    class Enriched(Visit):
        customer: Customer

    visiting = Service("{0}.visiting")
    customers = visiting.global_table(
        OwnerTopic("{0}.customers", Customer, key="customer_id", revision="revision", owner="{0}.crm"))
    visiting.join(EventTopic("{0}.visits", Visit, key="number", key_type=int), customers.on("customer_id"),
                  into=EventTopic("{0}.enriched", Enriched, key="number", key_type=int))
"""


@pytest.fixture
def publish(kafka: str, tmp_path: Path, prefix: str) -> Publish:
    """Publishes into a topic of the module, given by the last part of its name."""

    def run(topic: str, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        command = ("publish", f"{prefix}.{topic}", *arguments)
        return larder(*command, kafka=kafka, directory=tmp_path, module=MODULE.format(prefix), stdin=stdin)

    return run


ADA = '{"customer_id": "ada", "name": "Ada", "revision": 1, "more": [1.10]}'


async def test_rows_are_published_unchanged_under_their_own_key(publish: Publish, kafka: str, prefix: str) -> None:
    ended = publish("customers", "--as", f"{prefix}.crm", "--json", ADA)
    assert ended.returncode == 0, ended.stderr
    said = json.loads(ended.stdout)
    (record,) = await read(kafka, f"{prefix}.customers")
    assert (record.key, record.value) == (b"ada", ADA.encode())
    assert record.partition == partition_of(b"ada", 4)
    assert read_token(said.pop("token")).offsets == {record.partition: 0}
    assert said == {
        "topic": f"{prefix}.customers",
        "rows": 1,
        "deleted": 0,
        "last": {"partition": record.partition, "offset": 0},
    }


async def test_each_line_of_standard_input_is_a_row(publish: Publish, kafka: str, prefix: str) -> None:
    lines = "".join(f'{{"number":{number},"customer_id":"ada"}}\n' for number in range(1000))
    ended = publish("visits", "-", stdin=lines + "\n")
    assert ended.stdout.startswith(f"{prefix}.visits: 1,000 published, 0 deleted; the last at offset ")
    records = await read(kafka, f"{prefix}.visits")
    assert sorted(int.from_bytes(record.key, "big") for record in records) == list(range(1000))


async def test_a_missing_key_is_filled_in(publish: Publish, kafka: str, prefix: str) -> None:
    assert publish("visits", "--key", "7", '{"customer_id":"ada"}').returncode == 0
    (record,) = await read(kafka, f"{prefix}.visits")
    assert json.loads(record.value) == {"number": 7, "customer_id": "ada"}
    other = publish("visits", "--key", "7", '{"number":8,"customer_id":"ada"}')
    assert (other.returncode, "another key than --key 7 in number" in other.stderr) == (2, True)


async def test_a_row_is_deleted_by_its_key(publish: Publish, kafka: str, prefix: str) -> None:
    publish("customers", "--as", f"{prefix}.crm", ADA)
    ended = publish("customers", "--as", f"{prefix}.crm", "--delete", "ada")
    assert "0 published, 1 deleted" in ended.stdout
    assert [record.value is None for record in await read(kafka, f"{prefix}.customers")] == [False, True]


def test_an_event_cannot_be_deleted(publish: Publish) -> None:
    ended = publish("visits", "--delete", "7")
    assert (ended.returncode, "where every record counts" in ended.stderr) == (2, True)


async def test_with_bad_rows_nothing_is_published_and_each_bad_row_is_named(
    publish: Publish, kafka: str, prefix: str
) -> None:
    publish("customers", "--as", f"{prefix}.crm", ADA)
    ended = publish("customers", "--as", f"{prefix}.crm", ADA, '{"customer_id":"bob"}', "no json", "[]")
    assert ended.returncode == 2
    assert [line.split(":")[1] for line in ended.stderr.splitlines()[:1]] == [f" row 2 for {prefix}.customers"]
    assert len(ended.stderr.splitlines()) == 3
    assert len(await read(kafka, f"{prefix}.customers")) == 1


def test_only_its_owner_publishes_into_a_topic(publish: Publish, prefix: str) -> None:
    for arguments in ((), ("--as", "sales")):
        ended = publish("customers", *arguments, ADA)
        assert ended.returncode == 2
        assert f"only its owner {prefix}.crm may write it" in ended.stderr
    ended = publish("enriched", '{"number":1}')
    assert f"only its owner {prefix}.visiting may write it" in ended.stderr


def test_an_undeclared_topic_is_refused(publish: Publish, prefix: str) -> None:
    ended = publish("custmers", ADA)
    assert (ended.returncode, ended.stderr.endswith(f"did you mean {prefix}.customers?\n")) == (2, True)


def test_nothing_to_publish_is_a_mistake(publish: Publish) -> None:
    assert publish("visits").returncode == 2
    assert publish("visits", "-").returncode == 2
