"""Compiled joins: the fields that they read from raw records, and the rows that they splice in."""

import json
import uuid
from asyncio import CancelledError
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from larder import Drop, EventTopic, OwnerTopic, PassOn, Row, Service
from larder.declaring.compiled.joins import CompiledJoin, compile_join, compile_rekey


class Customer(Row):
    customer_id: str
    name: str = ""


class Depot(Row):
    depot: int


class Device(Row):
    device: uuid.UUID


class Order(Row):
    order_id: str
    customer_id: str
    depot: int | None = None
    device: uuid.UUID | None = None


class Loose(Row):
    order_id: str = "o"
    customer_id: str | None = None


class Result(Row):
    order_id: str
    name: str


customers = OwnerTopic("customers", Customer, key="customer_id")
depots = OwnerTopic("depots", Depot, key="depot", key_type=int)
devices = OwnerTopic("devices", Device, key="device", key_type=uuid.UUID)
orders = EventTopic("orders", Order, key="order_id")
loose = EventTopic("loose", Loose, key="order_id")
results = EventTopic("results", Result, key="order_id")

ORDER = b'{"order_id":"o1","customer_id":"c1","depot":7}'


def compiled(*fields: str, source: EventTopic = orders, into: EventTopic = results) -> CompiledJoin:
    service = Service("s")
    topics = {"customer_id": customers, "depot": depots, "device": devices}
    tables = [service.global_table(topics[field]).on(field) for field in fields]
    return compile_join(service.join(source, tables, into=into, missing=PassOn))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
TEXT = st.text(st.characters(codec="utf-8"))


@st.composite
def raw_orders(draw: st.DrawFn) -> dict[str, Any]:
    unknown = draw(st.dictionaries(TEXT, JSON, max_size=3))
    return {
        **unknown,
        "order_id": draw(TEXT),
        "customer_id": draw(TEXT),
        "depot": draw(st.none() | st.integers(-(2**63), 2**63 - 1)),
        "device": draw(st.none() | st.uuids().map(str)),
    }


@given(raw_orders(), st.sampled_from(["", " ", "\n", " \r\n\t"]), st.sampled_from([None, 1]))
def test_references_are_those_of_a_full_decode(order: dict[str, Any], end: str, indent: int | None) -> None:
    value = (json.dumps(order, indent=indent) + end).encode()
    decoded = msgspec.json.decode(value, type=Order)
    join = compiled("customer_id", "depot", "device")
    expected = (
        decoded.customer_id.encode(),
        None if decoded.depot is None else decoded.depot.to_bytes(8, "big", signed=True),
        None if decoded.device is None else str(decoded.device).encode(),
    )
    assert join.references(value) == expected
    assert join.references_many([value, value]) == tuple([key, key] for key in expected)
    assert compiled("customer_id", "depot").references(value) == expected[:2]
    assert compiled("depot").references(value) == expected[1:2]


@given(
    raw_orders(),
    st.lists(st.none() | st.dictionaries(TEXT, JSON, max_size=3), min_size=3, max_size=3),
    st.sampled_from(["", " \n"]),
    st.integers(1, 3),
)
def test_a_spliced_result_decodes_to_the_record_with_its_rows(
    order: dict[str, Any], rows: list[dict[str, Any] | None], end: str, count: int
) -> None:
    names = ["customer_id", "depot", "device"][:count]
    embeds = {"customer_id": "customer", "depot": "depot", "device": "device"}
    raw = [None if row is None else (json.dumps(row) + end).encode() for row in rows[:count]]
    value = (json.dumps(order) + end).encode()
    _, result = compiled(*names).output(b"k", value, raw) or (b"", b"")
    merged = order | {embeds[name]: row for name, row in zip(names, rows, strict=False)}
    assert json.loads(result) == merged


@given(
    st.fixed_dictionaries({}, optional={"order_id": TEXT, "customer_id": st.none() | TEXT}),
    st.sampled_from([None, 1]),
    st.none() | st.just(b'{"customer_id":"c"} '),
)
def test_a_record_without_fields_gets_rows_without_a_stray_comma(
    order: dict[str, Any], indent: int | None, row: bytes | None
) -> None:
    join = compiled("customer_id", source=loose)
    value = json.dumps(order, indent=indent).encode()
    text = order.get("customer_id")
    assert join.references(value) == (None if text is None else text.encode(),)
    key, result = join.output(None, value, [row]) or (b"", b"")
    assert key == order.get("order_id", "o").encode()
    assert json.loads(result) == order | {"customer": None if row is None else json.loads(row)}


@pytest.mark.parametrize("source", [orders, loose])
@pytest.mark.parametrize("forged", [b'"customer":{"name":"evil"}', b'"\\u0063ustomer" : null, "customer":[1]'])
def test_a_field_with_the_name_of_an_embedded_row_is_removed(source: EventTopic, forged: bytes) -> None:
    join = compiled("customer_id", source=source)
    honest = b'{"order_id":"o1","customer_id":"c1","deeper":{"customer":1,"customer":2}}'
    order = honest[:-1] + b"," + forged + b"} "
    expected = honest[:-1] + b',"customer":{"customer_id":"c1"}}'
    _, values, overridden = join.output_many([b"o1", b"o2"], [honest, order], [[b'{"customer_id":"c1"}'] * 2])
    assert (values, overridden) == ([expected, expected], 1)


def test_the_last_of_duplicated_look_up_fields_counts() -> None:
    order = b'{"order_id":"o1","customer_id":"c1","customer_id":"c2"}'
    join = compiled("customer_id")
    assert join.references(order) == (b"c2",)
    assert join.references_many([order]) == ([b"c2"],)
    assert msgspec.json.decode(order, type=Order).customer_id == "c2"


def test_one_field_may_be_looked_up_in_two_tables() -> None:
    assert compiled("customer_id", "customer_id").references(ORDER) == (b"c1", b"c1")
    several = compiled("depot", "customer_id", "depot").references_many([ORDER])
    assert several == ([b"\0" * 7 + b"\7"], [b"c1"], [b"\0" * 7 + b"\7"])


def test_an_embedding_may_have_quotes_and_percent_signs() -> None:
    service = Service("s")
    table = service.global_table(customers)
    tables = [table.on("customer_id", embed=name) for name in ('a"b', "100%d", "ü")]
    join = compile_join(service.join(orders, tables, into=results))
    _, result = join.output(b"o1", ORDER, [b"1", b"2", b"3"]) or (b"", b"")
    assert json.loads(result) == json.loads(ORDER) | {'a"b': 1, "100%d": 2, "ü": 3}


@pytest.mark.parametrize(
    ("value", "cause"),
    [
        (None, "no value"),
        (b"", "the value is empty"),
        (rb'{"customer_id":"\ud800"}', "lone surrogate"),
        (b"{", "truncated"),
        (b'{"order_id":"o1"}', "missing required field `customer_id`"),
        (b'{"customer_id":7}', "Expected `str`, got `int`"),
        (b'{"customer_id":null}', "Expected `str`, got `null`"),
        (b"[1]", "Expected `object`"),
        (b'{"customer_id":"c1"} x', "trailing characters"),
        (b'{"customer_id":"\xff"}', "invalid start byte"),
        (b'{"customer_id":"c1","x":' + b"[" * 5000 + b"]" * 5000 + b"}", "nested too deeply"),
    ],
)
def test_an_unreadable_record_is_explained(value: bytes | None, cause: str) -> None:
    for join in (compiled("customer_id"), compiled("customer_id", "depot")):
        with pytest.raises(ValueError, match=cause):
            join.references(value)
        with pytest.raises(ValueError, match=cause):
            join.references_many([ORDER, value])


def test_a_number_outside_64_bits_is_refused_as_a_key() -> None:
    with pytest.raises(ValueError, match="int64 key requires"):
        compiled("depot").references(b'{"order_id":"o","depot":9223372036854775808}')


def test_a_whole_float_looks_up_the_row_of_the_integer() -> None:
    join = compiled("depot")
    order = b'{"order_id":"o","depot":7.0}'
    assert join.references(order) == join.references(b'{"order_id":"o","depot":7}')
    assert join.references_many([order]) == join.references_many([b'{"order_id":"o","depot":7}'])


def test_a_result_with_the_same_key_field_keeps_the_key_of_the_record() -> None:
    output = compiled("customer_id").output
    result = ORDER[:-1] + b',"customer":null}'
    assert output(b"key", ORDER, [None]) == (b"key", result)
    assert output(None, ORDER, [None]) == (b"o1", result)


def test_a_result_with_another_key_field_takes_it_from_the_order() -> None:
    by_customer = EventTopic("by", Order, key="customer_id")
    result = b'{"order_id":"o1","customer_id":"c1","depot":null}'
    assert compiled("depot", into=by_customer).output(b"o1", ORDER, [None]) == (b"c1", result)


def test_a_null_in_the_key_of_the_result_is_refused() -> None:
    by_customer = EventTopic("by", Order, key="customer_id")
    join = compiled("customer_id", source=loose, into=by_customer)
    with pytest.raises(ValueError, match="customer_id is null, and by has it as its key"):
        join.output(b"o1", b'{"customer_id":null}', [None])


def test_a_renamed_field_is_read_by_its_name_in_json() -> None:
    class Camel(Row, rename="camel"):
        order_id: str
        customer_id: str

    source = EventTopic("camel", Camel, key="order_id")
    into = EventTopic("into", Camel, key="order_id")
    join = compiled("customer_id", source=source, into=into)
    value = b'{"orderId":"o1","customerId":"c1"}'
    assert join.references(value) == (b"c1",)
    assert join.output(None, value, [None]) == (b"o1", value[:-1] + b',"customer":null}')


def with_function(give: Any) -> CompiledJoin:
    service = Service("s")
    join = service.join(orders, service.global_table(customers).on("customer_id"), into=results)

    @join
    def result(order: Order, customer: Customer | None) -> Any:
        return give(order, customer)

    return compile_join(join)


def test_a_function_gets_typed_rows_and_its_result_is_keyed_and_encoded() -> None:
    join = with_function(lambda order, customer: Result(order_id=order.order_id, name=customer.name))
    row = b'{"customer_id":"c1","name":"Ada"}'
    assert join.output(b"other", ORDER, [row]) == (b"o1", b'{"order_id":"o1","name":"Ada"}')


def test_a_function_gets_none_for_a_missing_row_and_may_return_no_result() -> None:
    assert with_function(lambda _, customer: customer).output(b"o1", ORDER, [None]) is None


def test_a_function_that_raises_is_named_with_its_error() -> None:
    with pytest.raises(ValueError, match="result raised ZeroDivisionError: division by zero"):
        with_function(lambda *_: 1 / 0).output(b"o1", ORDER, [None])


def test_a_function_that_returns_no_row_is_refused() -> None:
    with pytest.raises(ValueError, match="join results must give Result or None; it gave 'x'"):
        with_function(lambda *_: "x").output(b"o1", ORDER, [None])


class Unwritable:
    """An error without a readable message."""

    def __repr__(self) -> str:
        raise LookupError


class SilentError(Exception):
    def __str__(self) -> str:
        raise LookupError


CIRCLE: list[Any] = []
CIRCLE.append(CIRCLE)
DEEP: list[Any] = []
for _ in range(5_000):
    DEEP = [DEEP]


def raising(error: BaseException) -> Any:
    raise error


@pytest.mark.parametrize(
    ("give", "cause"),
    [
        (
            lambda *_: Result(order_id="o", name=Unwritable()),
            "writing the result of join results raised TypeError: Enc",
        ),
        (lambda *_: Result(order_id="o", name=CIRCLE), "writing the result of join results raised RecursionError"),
        (lambda *_: Result(order_id=Unwritable(), name=""), "writing the result of join results raised LookupError"),
        (lambda *_: Result(order_id="\ud800", name=""), "writing the result of join results raised UnicodeEncodeError"),
        (lambda *_: Unwritable(), "it gave <Unwritable instance at"),
        (lambda *_: DEEP, r"it gave \[\[\["),
        (lambda *_: raising(RecursionError("deep")), "result raised RecursionError: deep"),
        (lambda *_: raising(CancelledError("who?")), "result raised CancelledError: who?"),
        (lambda *_: raising(SilentError()), "result raised SilentError: its message cannot be read"),
    ],
)
def test_any_failure_of_a_function_is_an_error_of_its_record(give: Any, cause: str) -> None:
    with pytest.raises(ValueError, match=cause):
        with_function(give).output(b"o1", ORDER, [None])


class Coded(Order):
    def __post_init__(self) -> None:
        raise KeyError(self.order_id)


def test_a_row_type_whose_code_fails_is_an_error_of_its_record() -> None:
    service = Service("s")
    source = EventTopic("orders", Coded, key="order_id")
    join = service.join(source, service.global_table(customers).on("customer_id"), into=results)
    join(lambda order, _: order)
    with pytest.raises(ValueError, match="a row type of join results raised KeyError: 'o1'"):
        compile_join(join).output(b"o1", ORDER, [None])


@pytest.mark.parametrize("deep", ["order", "row"])
def test_json_that_is_nested_too_deeply_is_an_error_of_its_record(deep: str) -> None:
    note = b"[" * 5_000 + b"]" * 5_000
    order = ORDER[:-1] + b',"note":%b}' % note if deep == "order" else ORDER
    row = b'{"customer_id":"c1","note":%b}' % note if deep == "row" else b'{"customer_id":"c1"}'
    with pytest.raises(ValueError, match="nested too deeply to be read"):
        with_function(lambda *_: None).output(b"o1", order, [row])


def test_each_missing_row_is_explained() -> None:
    join = compiled("customer_id", "depot", "device")
    keys = join.references(ORDER)
    assert join.why_missing(keys, [None, b"{}", None]) == "customers has no row 'c1'; device is null"


def test_rekeying_reads_the_encoded_field_and_refuses_null() -> None:
    assert compile_rekey(orders.by("customer_id")).one(ORDER) == b"c1"
    assert compile_rekey(orders.by("depot")).one(ORDER) == (7).to_bytes(8, "big")
    with pytest.raises(ValueError, match="device is null: the event belongs to no partition"):
        compile_rekey(orders.by("device")).one(ORDER)
    with pytest.raises(ValueError, match="no value"):
        compile_rekey(orders.by("customer_id")).one(None)


def test_rekeying_a_batch_gives_the_keys_of_each_or_refuses_the_batch() -> None:
    keys = compile_rekey(orders.by("customer_id"))
    assert keys.many([ORDER, ORDER]) == [b"c1", b"c1"]
    with pytest.raises(ValueError, match="no value"):
        keys.many([ORDER, None])
    with pytest.raises(ValueError, match="device is null"):
        compile_rekey(orders.by("device")).many([ORDER])
    assert compile_rekey(orders.by("device", missing=Drop)).many([ORDER]) == [None]
