"""What a client sends is read strictly: every field is known, and of its type."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from larder import Decision, OwnerTopic, Row, Service
from larder.declaring.compiled.requests import InvalidRequestError, NoIdError, OnceKeyError, compile_request


class Line(Row):
    product: str
    count: int = 1


class Card(Row, tag="card"):
    number: str


class Transfer(Row, tag="transfer"):
    number: str


class NewOrder(Row):
    order_id: str
    lines: tuple[Line, ...] = ()
    note: str | None = None
    paid_by: Card | Transfer | None = None
    price: Decimal | None = None
    sent_at: datetime = msgspec.field(default_factory=lambda: datetime.now(UTC))


class Order(Row):
    order_id: str


class Seat(Row):
    number: int


class Booking(Row):
    number: int
    day: date


class Rental(Row):
    tenant: str
    order_id: str


SERVICE = Service("shop")
REQUEST = SERVICE.request("POST /orders", state=SERVICE.table(OwnerTopic("orders", Order, key="order_id")))


@REQUEST
def place(request: NewOrder, order: Order | None) -> Decision:
    return Decision(order or Order(order_id=request.order_id))


COMPILED = compile_request(REQUEST)


def refusal(body: bytes, path: dict[str, str] | None = None) -> str:
    with pytest.raises(InvalidRequestError) as caught:
        COMPILED.read(body, path or {})
    return str(caught.value)


@pytest.mark.parametrize(
    ("body", "part"),
    [
        (b"{", "no JSON"),
        (b"\xff", "no JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"order_id": "o", "extra": %b}' % (b"[" * 800 + b"]" * 800), "`$.extra`"),
        (b'{"order_id": "o", "extra": %b}' % (b'{"a":' * 5_000 + b"1" + b"}" * 5_000), "nested too deeply"),
        (b"3", "no JSON object, but a int"),
        (b"{}", "`$.order_id` is missing"),
        (b'{"order_id": 1}', "$.order_id"),
        (b'{"order_id": "o", "color": 1}', "NewOrder has no field `$.color`"),
        (b'{"order_id": "o", "lines": [{"product": "p"}, {"product": "p", "cuont": 2}]}', "`$.lines[1].cuont`"),
    ],
)
def test_a_body_that_is_not_a_request_is_refused_by_the_name_of_its_field(body: bytes, part: str) -> None:
    assert part in refusal(body)


def test_a_field_may_be_in_the_path_and_has_one_value() -> None:
    read = COMPILED.read(b"", {"order_id": "o1"})
    assert (read.key, read.event.order_id) == (b"o1", "o1")
    assert COMPILED.read(b'{"order_id": "o1"}', {"order_id": "o1"}).key == read.key
    assert "`$.order_id` differs from the path" in refusal(b'{"order_id": "o2"}', {"order_id": "o1"})


@given(
    st.builds(
        NewOrder, order_id=st.text(min_size=1), lines=st.builds(tuple, st.lists(st.builds(Line, product=st.text())))
    )
)
def test_what_is_decided_on_is_what_was_sent(order: NewOrder) -> None:
    sent = msgspec.json.encode(order)
    read = COMPILED.read(sent, {})
    assert read.event == order
    assert msgspec.json.decode(read.json, type=NewOrder) == order
    assert read.key == order.order_id.encode()


ONCE = "a-key-of-a-client-1"


def test_a_request_without_an_id_gets_the_same_one_whenever_it_comes() -> None:
    first, again = (COMPILED.read(b"{}", {}, ONCE) for _ in range(2))
    assert (first.key, first.id, first.digest) == (again.key, again.id, again.digest)
    assert first.event.order_id.encode() == first.key
    assert COMPILED.read(b"{}", {}, ONCE + "2").key != first.key
    with pytest.raises(NoIdError, match="no header Idempotency-Key stands for it"):
        COMPILED.read(b"{}", {})


@pytest.mark.parametrize("length", [0, 15, 256])
def test_a_key_that_others_could_have_as_well_is_refused(length: int) -> None:
    with pytest.raises(OnceKeyError, match=f"has {length} characters"):
        COMPILED.read(b"{}", {}, "k" * length)


@pytest.mark.parametrize("once", ["a-key-of-a-clïent", "a-key-of-a-client\udcff", "a key of\ta client"])
def test_a_key_that_is_no_plain_text_is_refused(once: str) -> None:
    with pytest.raises(OnceKeyError, match="Idempotency-Key is 'a"):
        COMPILED.read(b"{}", {}, once)


@pytest.mark.parametrize("length", [16, 255])
def test_a_key_of_the_right_length_is_taken(length: int) -> None:
    assert COMPILED.read(b"{}", {}, "k" * length).id is not None


def test_a_value_has_one_digest_however_it_is_written() -> None:
    bodies = [
        b'{"order_id": "o", "lines": [{"product": "p"}]}',
        b'{ "lines":[{"count":1,"product":"p"}], "note":null, "order_id":"\\u006f" }',
    ]
    one, other = (COMPILED.read(each, {}, ONCE) for each in bodies)
    assert one.digest == other.digest
    assert COMPILED.read(b'{"order_id": "o", "lines": []}', {}, ONCE).digest != one.digest


def test_a_value_of_another_type_has_another_digest() -> None:
    bodies = (b'{"order_id": "o", "paid_by": {"type": "%b", "number": "1"}}' % kind for kind in (b"card", b"transfer"))
    card, transfer = (COMPILED.read(each, {}, ONCE).digest for each in bodies)
    assert card != transfer


def test_a_default_that_is_another_one_each_time_makes_no_other_request() -> None:
    first, again = (COMPILED.read(b'{"order_id": "o"}', {}, ONCE) for _ in range(2))
    assert first.event != again.event
    assert first.digest == again.digest


def test_a_number_keeps_all_its_digits() -> None:
    read = COMPILED.read(b' { "price": 0.12345678901234567890123 } ', {"order_id": "o"})
    assert read.event.price == Decimal("0.12345678901234567890123")


def test_a_field_in_the_path_may_be_written_in_another_way_in_the_body() -> None:
    state = SERVICE.table(OwnerTopic("seats", Seat, key="number", key_type=int))
    declared = SERVICE.request("POST /seats/{number}/{day}", state=state)

    @declared
    def book(request: Booking, seat: Seat | None) -> Decision | None: ...

    read = compile_request(declared).read
    path = {"number": "7", "day": "2026-01-31"}
    assert read(b'{"number": 7.0, "day": "2026-01-31"}', path).event == Booking(number=7, day=date(2026, 1, 31))
    with pytest.raises(InvalidRequestError, match=r"`\$.number` differs from the path, which has '7'"):
        read(b'{"number": 8.0}', path)
    with pytest.raises(InvalidRequestError, match=r"`int`, got `bool` - at `\$.number`"):
        read(b'{"number": true}', path)
    with pytest.raises(InvalidRequestError, match=r"int64.* - at `\$.number`"):
        read(b"{}", {**path, "number": str(2**63)})


def test_a_key_counts_for_its_row_whose_partition_knows_of_no_other() -> None:
    ids = {COMPILED.read(b'{"order_id": "%b"}' % order, {}, ONCE).id for order in (b"o1", b"o2", b"o1")}
    assert len(ids) == 2


def test_a_key_counts_for_its_address_and_its_scope() -> None:
    def ids(address: str) -> list[bytes | None]:
        declared = SERVICE.request(address, state=REQUEST.state, scope="tenant")

        @declared
        def rent(request: Rental, order: Order | None) -> Decision:  # noqa: ARG001
            return Decision()

        read = compile_request(declared).read
        return [read(b'{"order_id": "o", "tenant": "%s"}' % tenant, {}, ONCE).id for tenant in (b"a", b"b", b"a")]

    a, b, again = ids("POST /rentals")
    assert a == again != b
    assert not {a, b} & set(ids("POST /leases"))
