"""A village for tests of scaling: one service with every kind of operator, and a model that judges what came out.

Calls meet customers in the partitions of their topics; orders and addresses pass through `.by`. Deposits change
accounts, each one is noted with the total, and each account is checked some time after its last deposit. Calls are
counted.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.structs import ConsumerRecord

from larder.kafka.partitioner import partition_of
from tests.support.beside import Beside
from tests.support.topics import COMPACTED, Sent, create, grow, read, send, until
from tests.support.workers import Worker, larder

PARTITIONS = 4

MODULE = """
from datetime import UTC, datetime, timedelta

from larder import DeadLetter, Decision, Delete, EventTopic, OwnerTopic, PassOn, Row, Service, Wait, Wake
from larder.types import WakeUp


class Customer(Row):
    customer_id: str
    name: str
    revision: int


class Call(Row):
    call_id: str
    customer_id: str


class Answered(Call):
    customer: Customer | None


class Order(Row):
    order_id: str
    customer_id: str


class Joined(Order):
    customer: Customer | None


class Address(Row):
    address_id: str
    customer_id: str
    street: str
    revision: int


class Label(Address):
    customer: Customer


class Deposit(Row):
    deposit_id: str
    account_id: str
    amount: int


class Account(Row):
    account_id: str
    total: int
    revision: int = 0


class Caller(Row):
    customer_id: str
    calls: int
    revision: int = 0


class Noted(Row):
    account_id: str
    deposit_id: str
    total: int


class Checked(Row):
    account_id: str
    total: int


class Moved(Row):
    customer_id: str
    before: str
    after: str


customers = OwnerTopic("{prefix}.customers", Customer, key="customer_id", revision="revision", owner="crm")
calls = EventTopic("{prefix}.calls", Call, key="customer_id", owner="crm")
answered = EventTopic("{prefix}.answered", Answered, key="customer_id")
orders = EventTopic("{prefix}.orders", Order, key="order_id", owner="checkout")
joined = EventTopic("{prefix}.joined", Joined, key="order_id")
addresses = OwnerTopic("{prefix}.addresses", Address, key="address_id", revision="revision", owner="crm")
labels = OwnerTopic("{prefix}.labels", Label, key="address_id", revision="revision")
deposits = EventTopic("{prefix}.deposits", Deposit, key="account_id", owner="bank")
accounts = OwnerTopic("{prefix}.accounts", Account, key="account_id", revision="revision")
callers = OwnerTopic("{prefix}.callers", Caller, key="customer_id", revision="revision")
noted = EventTopic("{prefix}.noted", Noted, key="account_id")
checked = EventTopic("{prefix}.checked", Checked, key="account_id")
moved = EventTopic("{prefix}.moved", Moved, key="customer_id")

service = Service("{prefix}"{number})
people = service.table(customers)
balances = service.table(accounts)
counts = service.table(callers)
service.join(calls, people, into=answered, missing=Wait(seconds={wait}).then(PassOn))
service.join(orders.by("customer_id"), people, into=joined, missing=Wait(seconds={wait}).then(PassOn))
service.join(addresses.by("customer_id"), people, into=labels, missing=Wait(seconds={wait}).then(DeadLetter))


@service.decide(deposits, state=balances, into=(noted, checked))
def deposit(event: Deposit | WakeUp, account: Account | None) -> Decision:
    if isinstance(event, WakeUp):
        return Decision(emit=[Checked(account_id=account.account_id, total=account.total)])
    if not event.amount:
        note = Noted(account_id=event.account_id, deposit_id=event.deposit_id, total=0)
        return Decision(Delete(event.account_id), emit=[note])
    total = event.amount + (account.total if account else 0)
    row = Account(account_id=event.account_id, total=total)
    note = Noted(account_id=event.account_id, deposit_id=event.deposit_id, total=total)
    return Decision(row, emit=[note], wake=Wake(event.account_id, datetime.now(UTC) + timedelta(seconds={later})))


@service.fold(calls, state=counts)
def count(call: Call, caller: Caller | None) -> Caller:
    return Caller(customer_id=call.customer_id, calls=1 + (caller.calls if caller else 0))


@service.on_change(people, into=moved)
def move(old: Customer | None, new: Customer | None) -> Moved | None:
    before, after = old.name if old else "", new.name if new else ""
    return Moved(customer_id=(old or new).customer_id, before=before, after=after)
"""


class Village:
    """Topics of two numbers of partitions, the records that were sent there, and workers of the service."""

    def __init__(
        self, kafka: str, prefix: str, beside: Beside, directory: Path, *, partitions: int = PARTITIONS
    ) -> None:
        self.kafka = kafka
        self.prefix = prefix
        self.beside = beside
        self.directory = directory
        self.reacts = True
        self.names: dict[str, str] = {}
        self.moves: list[tuple[str, str]] = []
        self.calls: list[str] = []
        self.orders: list[str] = []
        self.deposits: dict[str, list[tuple[str, int]]] = defaultdict(list)
        self.streets: dict[str, str] = {}
        self._numbers = itertools.count(1)
        self._beside = ThreadPoolExecutor()
        beside.call(create(kafka, {self.name("customers"): partitions, self.name("addresses"): 3}, COMPACTED))
        topics = {self.name("calls"): partitions, self.name("orders"): 3, self.name("deposits"): partitions}
        beside.call(create(kafka, topics))

    def name(self, topic: str) -> str:
        return f"{self.prefix}.{topic}"

    def module(self, *, wait: float = 120, later: float = 2, number: str = "") -> str:
        text = MODULE if self.reacts else MODULE[: MODULE.index("@service.on_change")]
        text = text.replace("{prefix}", self.prefix).replace("{wait}", str(wait))
        return text.replace("{later}", str(later)).replace("{number}", number)

    def worker(self, name: str = "one", *, wait: float = 120, later: float = 2, **settings: str) -> Worker:
        environment = {f"LARDER_{key.upper()}": value for key, value in settings.items()}
        module = self.module(wait=wait, later=later)
        return Worker(self.kafka, self.directory, module, self.prefix, name, environment)

    def scale(self, *arguments: str, worker: Worker, timeout: float = 60) -> dict[str, Any]:
        """Run the command, and return the growth that it printed."""
        ended = larder(
            "scale", self.prefix, *arguments, "--json", kafka=self.kafka, directory=self.directory,
            module=worker.module, timeout=timeout,
        )  # fmt: skip
        assert ended.stdout, ended.stderr
        found: dict[str, Any] = msgspec.json.decode(ended.stdout)
        assert "growth" in found or "deleted" in found, found
        return found

    def ask(self, partitions: int, *, worker: Worker, within: float = 80) -> Future[dict[str, Any]]:
        """Run the command beside the test."""
        arguments = ("--partitions", str(partitions), "--within", str(within))
        return self._beside.submit(self.scale, *arguments, worker=worker, timeout=90)

    def send(self, topic: str, records: Iterable[Sent | tuple[Any, Any]]) -> None:
        self.beside.call(send(self.kafka, self.name(topic), list(records)))

    def settle_in(self, people: Sequence[str]) -> None:
        """Send customers, each with a new name."""
        number = next(self._numbers)
        self.moves += [(self.names.get(each, ""), f"{each} {number}") for each in people]
        self.names |= {each: f"{each} {number}" for each in people}
        self.send("customers", [(each, _customer(each, self.names[each], number)) for each in people])

    def live(self, people: Sequence[str]) -> None:
        """Let each of them call, order, move and pay once."""
        number = next(self._numbers)
        self.calls += (ids := [f"{number} {each}" for each in people])
        self.send("calls", [(who, {"call_id": id_, "customer_id": who}) for id_, who in zip(ids, people, strict=True)])
        self.orders += ids
        self.send(
            "orders", [(id_, {"order_id": id_, "customer_id": who}) for id_, who in zip(ids, people, strict=True)]
        )
        self.streets |= {f"home of {each}": f"street {number}" for each in people}
        self.send("addresses", [(f"home of {each}", self._address(each, number, people)) for each in people])
        for id_, who in zip(ids, people, strict=True):
            self.deposits[who].append((id_, number))
        self.send(
            "deposits",
            [
                (who, {"deposit_id": id_, "account_id": who, "amount": number})
                for id_, who in zip(ids, people, strict=True)
            ],
        )

    def pay(self, who: str, amount: int) -> None:
        """Let somebody pay; nothing closes the account."""
        id_ = f"{next(self._numbers)} {who}"
        self.deposits[who].append((id_, amount))
        self.send("deposits", [(who, {"deposit_id": id_, "account_id": who, "amount": amount})])

    def _address(self, who: str, number: int, people: Sequence[str]) -> dict[str, Any]:
        # It moves to another customer each time.
        lives_with = people[(people.index(who) + number) % len(people)]
        row = {"address_id": f"home of {who}", "customer_id": lives_with, "street": f"street {number}"}
        return {**row, "revision": number}

    def until_any_died(self, workers: Sequence[Worker]) -> None:
        """Wait until one of the workers has ended."""
        self.beside.call(until(lambda: any(not each.alive() for each in workers), 30, "the end of a worker"))

    def until_phase(self, worker: Worker, phase: str) -> None:
        """Wait until a worker says that its service is in a phase of its growth."""

        async def there() -> bool:
            _, body = worker.get("/services") or (0, {})
            return bool(body.get("growth")) and body["growth"]["phase"] == phase

        self.beside.call(until(there, 30, f"phase {phase}"))

    @contextmanager
    def in_a_transaction(self, topic: str, order: str, customer: str) -> Iterator[Callable[[], None]]:
        """Write an order into an internal topic, as a worker would; yield what commits it. Otherwise it is aborted."""
        producer: AIOKafkaProducer
        ended = False

        async def begin() -> None:
            nonlocal producer
            producer = AIOKafkaProducer(
                bootstrap_servers=self.kafka, transactional_id=f"{self.prefix}/{order}", transaction_timeout_ms=60_000
            )
            await producer.start()
            await producer.begin_transaction()
            value = {"order_id": order, "customer_id": customer}
            partition = partition_of(customer.encode(), PARTITIONS)
            await producer.send_and_wait(self.name(topic), msgspec.json.encode(value), order.encode(), partition)

        def commit() -> None:
            nonlocal ended
            ended = True
            self.beside.call(producer.commit_transaction())

        self.beside.call(begin())
        try:
            yield commit
        finally:
            if not ended:
                self.beside.call(producer.abort_transaction())
            self.beside.call(producer.stop())

    def grow(self, topic: str, partitions: int) -> None:
        """Add partitions, as somebody else would."""
        self.beside.call(grow(self.kafka, self.name(topic), partitions))

    def until_held_back(self, workers: Sequence[Worker]) -> None:
        """Wait until each worker says that inputs are held back."""

        async def said() -> bool:
            found = [each.get("/services") or (0, {}) for each in workers]
            return all(status == 200 and body["held_back"] for status, body in found)

        self.beside.call(until(said, 30, "held back inputs of all workers"))

    def read(self, topic: str) -> list[dict[str, Any]]:
        return [msgspec.json.decode(each.value) for each in self.records(topic) if each.value]

    def records(self, topic: str) -> list[ConsumerRecord]:
        return self.beside.call(read(self.kafka, self.name(topic)))

    def until(self, topic: str, count: int, timeout: float = 60) -> list[dict[str, Any]]:
        """Wait for so many records, and return them."""
        self.until_records(topic, count, timeout)
        return self.read(topic)

    def until_records(self, topic: str, count: int, timeout: float = 60) -> None:
        """Wait for so many records."""

        async def enough() -> bool:
            return len(await read(self.kafka, self.name(topic))) >= count

        self.beside.call(until(enough, timeout, f"{count} records of {topic}"))

    def until_done(self) -> None:
        """Wait for the results of all records."""
        self.until("answered", len(self.calls))
        self.until("joined", len(self.orders))
        self.until("callers", len(self.calls))
        self.until("noted", sum(map(len, self.deposits.values())))
        if self.reacts:
            self.until("moved", len(self.moves))

        async def labelled() -> bool:
            found = [
                msgspec.json.decode(each.value) for each in await read(self.kafka, self.name("labels")) if each.value
            ]
            return self.streets.items() <= {each["address_id"]: each["street"] for each in found}.items()

        self.beside.call(until(labelled, 60, "a label of each address"))
        sums = {who: sum(amount for _, amount in sent) for who, sent in self.deposits.items()}

        async def checked() -> bool:
            found = [
                msgspec.json.decode(each.value) for each in await read(self.kafka, self.name("checked")) if each.value
            ]
            return {each["account_id"]: each["total"] for each in found} == sums

        self.beside.call(until(checked, 60, "the last wake-up of each account"))

    def totals(self, who: str) -> list[int]:
        """Return the totals of an account, after each deposit."""
        return list(itertools.accumulate(amount for _, amount in self.deposits[who]))

    def judge(self) -> None:
        """Require what the declarations promise: each record once, in order, with its rows."""
        for topic, key, sent in (("answered", "call_id", self.calls), ("joined", "order_id", self.orders)):
            found = self.read(topic)
            assert Counter(each[key] for each in found) == Counter(sent), f"{topic}: lost or doubled"
            assert not [each for each in found if each["customer"] is None], f"{topic}: without its row"
        self._judge_deposits()
        self._judge_counts()
        self._judge_order("answered", "customer_id", "call_id", self.calls)
        if self.reacts:
            moves = Counter((each["before"], each["after"]) for each in self.read("moved"))
            assert moves == Counter(self.moves), "each change of a customer has one reaction"
        assert not self.read("dead-letters")
        assert not [each.value for each in self.records("labels") if each.value is None], "no label was deleted"

    def _judge_order(self, topic: str, by: str, id_: str, sent: Sequence[str]) -> None:
        place = {each: at for at, each in enumerate(sent)}
        last: dict[str, int] = {}
        for each in self.read(topic):
            assert last.get(each[by], -1) < place[each[id_]], f"{topic}: out of order for {each[by]}"
            last[each[by]] = place[each[id_]]

    def _judge_deposits(self) -> None:
        noted: dict[str, list[tuple[str, int]]] = defaultdict(list)
        for each in self.read("noted"):
            noted[each["account_id"]].append((each["deposit_id"], each["total"]))
        for who, sent in self.deposits.items():
            assert noted[who] == [(id_, total) for (id_, _), total in zip(sent, self.totals(who), strict=True)], who
        self._judge_revisions("accounts", "account_id")

    def _judge_counts(self) -> None:
        called = Counter(each["customer_id"] for each in self.read("answered"))
        last = {each["customer_id"]: each["calls"] for each in self.read("callers")}
        assert last == called, "callers: a call lost or counted twice"
        self._judge_revisions("callers", "customer_id")

    def _judge_revisions(self, topic: str, key: str) -> None:
        rows: dict[str, list[int]] = defaultdict(list)
        for each in self.read(topic):
            rows[each[key]].append(each["revision"])
        for who, revisions in rows.items():
            assert revisions == sorted(set(revisions)), f"{topic} of {who}: revisions fell"


def _customer(key: str, name: str, revision: int) -> dict[str, Any]:
    return {"customer_id": key, "name": name, "revision": revision}


@contextmanager
def asking_for(
    workers: Sequence[Worker], rows: Mapping[tuple[str, str], tuple[str, Any]]
) -> Iterator[list[tuple[int, str]]]:  # fmt: skip
    """Ask the workers in turn for rows, by table and key; each must have that value in that field.

    Yield the statuses of the answers so far, each with what is wrong with it: another row, or no row that exists.
    """
    answers: list[tuple[int, str]] = []
    over = threading.Event()

    def ask() -> None:
        for worker, ((table, key), (field, value)) in zip(
            itertools.cycle(workers), itertools.cycle(rows.items()), strict=False
        ):
            if over.is_set():
                return
            status, body = worker.row(table, key)
            wrong = status not in {200, 503} or (status == 200 and body["row"][field] != value)
            answers.append((status, f"{table} {key}: {status} {body}, not {value}" if wrong else ""))
            time.sleep(0.01)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield answers
    finally:
        over.set()
        asking.join()
