"""Bad orders in the input of a join: each is dead-lettered with its cause, and every other order comes out."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.stages import KINDS, Stage, customer, order
from tests.support.beside import Beside
from tests.support.topics import Sent, encoded
from tests.support.workers import running

MEGABYTE = "x" * 1_048_390
"""An order with this text fits into its own topic, but is too large with its customer."""

BAD = [
    (Sent("b0", b"{"), "the value requires JSON"),
    (Sent("b1", b""), "the value requires JSON"),
    (Sent("b2", b'{"order_id":"\xff","customer_id":"c1"}'), "the value requires JSON"),
    (Sent("b3", b'{"a":' * 50_000), "is nested too deeply to be read"),
    (Sent("b4", b"[]"), "the value requires the fields of its declared type"),
    (Sent("b5", {"order_id": "b5", "customer_id": 5}), "Expected `str | null`, got `int`"),
    (Sent("b6", {"order_id": "b6"}), "missing required field `customer_id`"),
    (Sent("b7", None), "the record has no value"),
    (Sent("b8", order("b8", None)[1]), "customer_id is null"),
    (Sent("b9", order("b9", "c9")[1]), "has no row 'c9'"),
    (Sent("b10", order("b10", note=MEGABYTE)[1]), "requires at most 1048588 bytes"),
]

ODD = [
    Sent(None, order("o1")[1]),
    Sent(b"\xff\xfe", order("o2")[1]),
    Sent("o3", order("o3", unknown={"deeply": [{"nested": None}]})[1]),
    Sent("o4", b' \n{ "order_id" : "o4" , "customer_id":"c1", "quantity":1e2 }\t'),
    Sent("o5", order("o5", quantity="many")[1]),
    Sent("o6", order("o6")[1], headers=[("trace", b"\xff")], timestamp_ms=1),
]
"""Unusual orders without a mistake, or with one in fields that the join does not read."""


@pytest.mark.parametrize("kind", KINDS)
def test_bad_orders_become_dead_letters_with_their_cause_and_all_others_come_out(
    kafka: str, prefix: str, beside: Beside, tmp_path: Path, kind: str
) -> None:
    stage = Stage(kafka, prefix, beside, tmp_path)
    if kind == "global":
        # A dead letter has to fit even if its topic has a low limit.
        stage.create("dead-letters", {"max.message.bytes": "4000"})
    stage.send("customers", [customer("c1", name="Ada")])
    worker = stage.worker(KINDS[kind])
    with running(worker):
        worker.until_running()
        bad = stage.send("orders", [record for record, _ in BAD])
        stage.send("orders", [*ODD, order("last")])
        good = {"last", "o1", "o2", "o3", "o4", "o5", "o6"}
        # The last order is in one partition, which a reader may get before the others.
        joined = stage.until_joined(good)
        assert joined.keys() == good
        assert {row["customer"]["name"] for row in joined.values()} == {"Ada"}
        assert joined["o3"]["unknown"] == {"deeply": [{"nested": None}]}
        letters = stage.until_letters(len(BAD))
        expected = dict(zip(bad, BAD, strict=True))
        if kind == "copartitioned":
            # Orders with a customer reach the internal topic, and have coordinates there.
            passed = [each for each in letters if each.topic != stage.name("orders")]
            assert {each.cause.partition(";")[0] for each in passed} == {
                f"{stage.name('customers')} has no row 'c9'",
                f"a record of {stage.name('joined')} requires at most 1048588 bytes",
            }
            letters = [each for each in letters if each.topic == stage.name("orders")]
            expected = {offset: each for offset, each in expected.items() if each[0].key not in {"b9", "b10"}}
        assert {letter.offset for letter in letters} == expected.keys()
        for letter in letters:
            record, cause = expected[letter.offset]
            assert cause in letter.cause or (record.key == "b8" and "customer_id is null" in letter.cause)
            headers = dict(letter.record.headers)
            assert headers["larder.key"] == str(record.key).encode()
            if kind == "global" and record.key in {"b3", "b10"}:
                assert letter.record.value is None
                assert headers["larder.left-out"].startswith(b"the value, of ")
            else:
                assert letter.record.value == encoded(record.value)
        status = worker.until_caught_up()
        assert status["joins"][0]["counts"]["joined"] == len(ODD) + 1
        assert worker.stop() == 0
    assert len(stage.letters()) == len(BAD), "a letter was lost, or came twice"


def test_orders_too_large_for_the_output_become_dead_letters_even_while_others_wait(
    kafka: str, prefix: str, beside: Beside, tmp_path: Path
) -> None:
    """An order of a megabyte waits for its customer, and turns out to be too large when the customer arrives."""
    stage = Stage(kafka, prefix, beside, tmp_path)
    worker = stage.worker(KINDS["global"], missing="Wait(60).then(DeadLetter)")
    with running(worker):
        worker.until_running()
        stage.send("orders", [order("large", note=MEGABYTE)])
        stage.send("orders", [order("small")])
        worker.until(lambda status: status["joins"][0]["waiting"] == 2, what="two waiting orders")
        stage.send("customers", [customer("c1")])
        assert stage.until_joined(["small"]).keys() == {"small"}
        (letter,) = stage.until_letters(1)
        assert "requires at most 1048588 bytes" in letter.cause
        assert (letter.record.value or b"").endswith(MEGABYTE[-10:].encode() + b'"}')
        worker.until(lambda status: status["joins"][0]["waiting"] == 0, what="no waiting orders")
        assert worker.stop() == 0


@pytest.mark.parametrize("missing", ["DeadLetter", "Wait(1).then(DeadLetter)"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_dead_letter_has_the_headers_of_its_order_from_every_step(
    kafka: str, prefix: str, beside: Beside, tmp_path: Path, kind: str, missing: str
) -> None:
    stage = Stage(kafka, prefix, beside, tmp_path)
    worker = stage.worker(KINDS[kind], missing=missing)
    headers = [("trace", b"\xff"), ("trace", b"2"), ("null", None)]
    with running(worker):
        worker.until_running()
        stage.send("orders", [Sent("o1", order("o1", "c9")[1], headers=headers), order("o2", "c9")])
        one, two = sorted(stage.until_letters(2), key=lambda letter: letter.offset)
        assert [each for each in one.record.headers if not each[0].startswith("larder.")] == headers
        assert all(name.startswith("larder.") for name, _ in two.record.headers)
        assert worker.stop() == 0


WILFUL = """
import pathlib

(join,) = service.joins
circle = []
circle.append(circle)

@join
def wilful(order: Order, customer: Customer) -> Joined | None:
    result = Joined(order_id=order.order_id, customer_id=order.customer_id, customer=customer)
    match order.order_id:
        case "circle":
            return Joined(order_id="circle", customer_id=circle, customer=customer)
        case "object":
            return Joined(order_id="object", customer_id=object(), customer=customer)
        case "recursion":
            return wilful(order, customer)
        case "exit" if not pathlib.Path("cured").exists():
            raise SystemExit(0)
    return result
"""


def test_a_function_may_change_its_order_and_may_end_its_worker(
    kafka: str, prefix: str, beside: Beside, tmp_path: Path
) -> None:
    stage = Stage(kafka, prefix, beside, tmp_path)
    stage.send("customers", [customer("c1")])
    worker = stage.worker(KINDS["global"], WILFUL)
    with running(worker):
        worker.until_running()
        stage.send("orders", [order("o1"), order("circle"), order("object"), order("recursion"), order("o2")])
        assert stage.until_joined(["o2"]).keys() == {"o1", "o2"}
        causes = [letter.cause for letter in stage.until_letters(3)]
        for cause, error in zip(causes, ["RecursionError", "TypeError: Encoding", "RecursionError"], strict=True):
            assert error in cause
        stage.send("orders", [order("o3"), Sent("broken", b"{"), order("exit"), order("o4")])
        assert worker.exit_code() == 1
        assert "a join's function or an agent raised SystemExit(0), which ends the worker" in worker.text
        (tmp_path / "cured").touch()
        worker.start().until_running()
        stage.until_joined(["o4"])
        assert worker.stop() == 0
    assert sorted(record.key for record in stage.read("joined")) == [b"exit", b"o1", b"o2", b"o3", b"o4"]
    assert len(stage.letters()) == 4


def test_deeply_nested_orders_can_wait_and_foreign_records_beside_them_become_dead_letters(
    kafka: str, prefix: str, beside: Beside, tmp_path: Path
) -> None:
    """The readable depth depends on the reader: each order comes out, or is dead-lettered as too deep."""
    stage = Stage(kafka, prefix, beside, tmp_path)
    waiting = f"{prefix}.joined.waiting"
    worker = stage.worker(KINDS["global"], missing="Wait(60).then(DeadLetter)")
    deep = [Sent(f"d{depth}", _nested(f"d{depth}", depth), headers=[("trace", b"t")]) for depth in range(900, 1_000)]
    foreign = [Sent("f1", b"{"), Sent("f2", order("f2")[1]), Sent("f3", b'{"x":' + b"[" * 950 + b"]" * 950 + b"}")]
    with running(worker):
        worker.until_running()
        stage.send("orders", deep)
        worker.until(
            lambda status: status["joins"][0]["waiting"] + len(stage.letters()) == len(deep), what="all orders"
        )
        too_deep = len(stage.letters())
        stage.send(waiting, foreign)
        letters = stage.until_letters(too_deep + len(foreign))
        assert sum(letter.topic == stage.name(waiting) for letter in letters) == len(foreign)
        worker.kill()
        worker.start().until(lambda status: status["joins"][0]["waiting"], what="the restored waiting orders")
        stage.send("customers", [customer("c1")])
        stage.send("orders", [order("last")])
        stage.until_joined(["last"])
        worker.until(lambda status: status["joins"][0]["waiting"] == 0, what="no waiting orders")
        assert worker.stop() == 0
    joined = {record.key for record in stage.read("joined")}
    letters = [letter for letter in stage.letters() if letter.topic == stage.name("orders")]
    dead = {dict(letter.record.headers)["larder.key"] for letter in letters}
    assert joined >= {b"d900", b"last"}
    assert joined | dead == {str(each.key).encode() for each in deep} | {b"last"}
    assert all("nested too deeply" in letter.cause for letter in letters)
    assert all(dict(letter.record.headers)["trace"] == b"t" for letter in letters)
    assert len(stage.letters()) == len(letters) + len(foreign), "a letter came twice"


def _nested(key: str, depth: int) -> bytes:
    return b'{"order_id":"%b","customer_id":"c1","note":%b%b}' % (key.encode(), b"[" * depth, b"]" * depth)
