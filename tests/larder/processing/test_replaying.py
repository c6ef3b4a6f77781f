"""The outcomes of dead letters that are replayed to the step that dead-lettered them."""

from __future__ import annotations

from collections.abc import Sequence

from aiokafka.structs import TopicPartition

from larder.declaring.keys import BYTES
from larder.declaring.records import Record
from larder.delivery.output import Output
from larder.kafka.partitioner import partition_of
from larder.processing.handlers import InputHandler
from larder.processing.replaying import Onward, ReplayHandler
from tests.larder.operators.contexts import context
from tests.larder.operators.joins.test_waiting_room import ADA, INK, INPUT, LETTERS, Stage
from tests.larder.operators.memory_delivery import MemoryDelivery, Sent

REPLAYS = TopicPartition(f"s.{INPUT.topic}.replays", INPUT.partition)
FORMER = frozenset({"orders.before"})


class Step:
    """Records what it gets."""

    def __init__(self) -> None:
        self.seen: list[Record] = []
        self.full = False

    def process(self, records: Sequence[Record]) -> None:
        self.seen += records

    def busy(self) -> bool:
        return self.full


def replayed(offset: int, step: bytes | None, of: bytes | None, value: bytes | None = b"{}") -> Sent:
    headers = [("trace", b"t"), ("larder.step", step), ("larder.replayed", of), ("larder.attempt", b"1")]
    return Sent(offset, 7, b"k", value, [(name, value) for name, value in headers if value is not None])


def handler(delivery: MemoryDelivery, steps: dict[str, Step]) -> ReplayHandler:
    at = context(REPLAYS, delivery, Output(LETTERS.topic, 1, 1 << 20))
    return ReplayHandler(at, INPUT, InputHandler(at.of(INPUT), steps), FORMER)


def test_a_step_gets_a_replayed_record_with_its_offset_in_the_input() -> None:
    delivery, one, other = MemoryDelivery(), Step(), Step()
    handler(delivery, {"join j": one, "decide d": other}).process(
        [replayed(0, b"join j", f"{INPUT.topic}/{INPUT.partition}/12".encode())], 1
    )
    (seen,) = one.seen
    assert (seen.offset, seen.timestamp, seen.key, seen.value, other.seen) == (12, 7, b"k", b"{}", [])
    delivery.settle()
    assert not delivery.logs[LETTERS]


def test_a_record_of_a_former_topic_of_the_input_gets_an_offset_that_no_record_of_the_input_has() -> None:
    delivery, step = MemoryDelivery(), Step()
    replaying = handler(delivery, {"join j": step})
    replaying.process([replayed(9, b"join j", b"orders.before/77/12")], 10)
    (seen,) = step.seen
    assert (seen.offset, seen.timestamp, seen.key, seen.value) == (2**48 + 9, 7, b"k", b"{}")
    assert step.seen[0].offset < 2**53, "JSON keeps it exactly"
    foreign = [
        b"orders.after/77/12",
        b"orders.before.replays/0/1",
        b"orders.before/77/x",
        REPLAYS.topic.encode() + b"/0/1",
    ]
    replaying.process([replayed(10 + number, b"join j", of) for number, of in enumerate(foreign)], 20)
    delivery.settle()
    assert len(step.seen) == 1
    assert [dict(each.headers)["larder.topic"] for each in delivery.logs[LETTERS]] == [REPLAYS.topic.encode()] * 4


def test_a_replay_whose_step_is_on_another_topic_by_now_goes_on_to_its_replays() -> None:
    delivery, step = MemoryDelivery(), Step()
    at = context(REPLAYS, delivery, Output(LETTERS.topic, 1, 1 << 20))
    onward = {
        name: Onward(Output("later.replays", 6, 1 << 20), lambda record: record.value) for name in ("join j", "by x")
    }
    replaying = ReplayHandler(at, INPUT, InputHandler(at.of(INPUT), {"by x": step}), onward=onward)
    of = f"{INPUT.topic}/{INPUT.partition}/12".encode()
    sent = [
        replayed(0, b"join j", of, b"ada"),
        replayed(1, b"join j", of, None),
        replayed(2, b"join k", of),
        replayed(3, b"by x", of),
    ]
    replaying.process(sent, 4)
    delivery.settle()
    assert [each.offset for each in step.seen] == [12]
    assert [dict(each.headers)["larder.step"] for each in delivery.logs[LETTERS]] == [b"join k"]
    for record, partition in ((sent[0], partition_of(b"ada", 6)), (sent[1], INPUT.partition)):
        (again,) = delivery.logs[TopicPartition("later.replays", partition)]
        assert (again.key, again.value, again.timestamp, list(again.headers)) == (
            record.key, record.value, record.timestamp, list(record.headers),
        )  # fmt: skip


def test_a_letter_about_a_record_of_a_former_topic_names_its_original() -> None:
    delivery = MemoryDelivery()
    handler(delivery, {}).process([replayed(9, b"join j", b"orders.before/77/12")], 10)
    delivery.settle()
    (letter,) = delivery.logs[LETTERS]
    headers = dict(letter.headers)
    assert letter.key == b"orders.before/77/12"
    assert [headers[f"larder.{name}"] for name in ("topic", "partition", "offset", "step", "attempt")] == [
        b"orders.before", b"77", b"12", b"join j", b"1",
    ]  # fmt: skip


def test_a_busy_step_of_the_input_keeps_replayed_records_waiting() -> None:
    step = Step()
    replaying = handler(MemoryDelivery(), {"join j": step})
    assert not replaying.busy()
    step.full = True
    assert replaying.busy()


def test_a_record_that_no_step_can_replay_is_dead_lettered_whole() -> None:
    delivery, step = MemoryDelivery(), Step()
    place = f"{INPUT.topic}/{INPUT.partition}".encode()
    strange = [
        None,
        b"",
        b"12",
        place,
        place + b"/-1",
        place + b"/x",
        place + b"/" + b"9" * 30,
        b"orders/77/1",
        b"\xff/0/1",
    ]
    records = [replayed(number, b"join j", of) for number, of in enumerate(strange)]
    gone = [replayed(100 + number, name, place + b"/5") for number, name in enumerate([None, b"join k", b"\xff"])]
    handler(delivery, {"join j": step}).process([*records, *gone], 104)
    delivery.settle()
    letters = delivery.logs[LETTERS]
    assert [each.key for each in letters] == [
        *(f"{REPLAYS.topic}/{REPLAYS.partition}/{number}".encode() for number in range(len(strange))),
        *[place + b"/5"] * len(gone),
    ]
    assert not step.seen
    headers = dict(letters[-2].headers)
    assert (headers["larder.step"], headers["larder.attempt"], headers["trace"]) == (b"join k", b"1", b"t")
    assert headers["larder.cause"] == b"replaying requires the step 'join k' of the service on orders; found join j"


def test_a_record_of_a_former_topic_waits_beside_the_record_that_has_its_offset_now() -> None:
    stage = Stage()
    at = context(REPLAYS, stage.delivery, Output(LETTERS.topic, 1, 1 << 20))
    replaying = ReplayHandler(at, INPUT, InputHandler(at.of(INPUT), {"join j": stage.joining}, BYTES), FORMER)
    stage.joining.process([stage.order(12)])
    replaying.process([replayed(0, b"join j", b"orders.before/3/12", stage.order(12).value)], 1)
    stage.settle_and_read_back()
    assert len(stage.waiting) == 2
    stage.come(stage.customers, "c1", ADA)
    stage.come(stage.products, "p1", INK)
    stage.settle_and_read_back()
    assert len(stage.waiting) == 0
    joined = [log for tp, log in stage.delivery.logs.items() if tp.topic == "joined"]
    assert [len(log) for log in joined] == [2]


def test_a_replayed_record_waits_under_its_original_coordinates_and_is_joined_once() -> None:
    stage = Stage()

    def again() -> ReplayHandler:
        at = context(REPLAYS, stage.delivery, Output(LETTERS.topic, 1, 1 << 20))
        return ReplayHandler(at, INPUT, InputHandler(at.of(INPUT), {"join j": stage.joining}, BYTES))

    stage.joining.process([stage.order(3)])
    order = stage.order(12)
    sent = replayed(3, b"join j", f"{INPUT.topic}/{INPUT.partition}/12".encode(), order.value)
    again().process([sent], 4)
    stage.settle_and_read_back()
    # Another worker takes over and reads the replayed record again.
    stage.opened()
    again().process([sent], 4)
    assert len(stage.waiting) == 2
    stage.come(stage.customers, "c1", ADA)
    stage.come(stage.products, "p1", INK)
    assert len(stage.waiting) == 0
    stage.settle_and_read_back()
    joined = [log for tp, log in stage.delivery.logs.items() if tp.topic == "joined"]
    assert [len(log) for log in joined] == [2]
