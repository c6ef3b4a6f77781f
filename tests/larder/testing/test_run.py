"""Services run over lists of records: what comes out, and what does not."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.fulfilment import fulfilment
from agents.shipping import shipping
from larder import DeadLetter, Drop, EventTopic, OwnerTopic, PassOn, Row, Service, Wait
from larder.testing import run_in_memory
from larder.types import DeclarationError
from tables import shop
from tables.shop import Customer, EnrichedOrder, Fulfilment, Order, Product

ADA = Customer(customer_id="c1", name="Ada", country="AT", revision=1)
TEA = Product(product_id="p1", name="Tea", price=2.5, revision=1)
NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)


def order(number: int, customer: str = "c1", product: str = "p1") -> Order:
    return Order(
        order_id=f"o{number}",
        customer_id=customer,
        product_id=product,
        quantity=2,
        amount=5.0,
        ordered_at=NOON,
    )


def test_shipping_joins_each_order_with_its_customer_and_product() -> None:
    result = run_in_memory(shipping, {shop.customers: [ADA], shop.products: [TEA], shop.orders: [order(1), order(2)]})
    (first, second) = result["shop.enriched-orders"]
    assert first.row == EnrichedOrder(
        order_id="o1",
        customer_id="c1",
        product_id="p1",
        quantity=2,
        amount=5.0,
        ordered_at=NOON,
        customer=ADA,
        product=TEA,
    )
    assert (first.key, second.key) == (b"o1", b"o2")
    assert b'"customer":{"customer_id":"c1"' in (first.value or b"")
    assert result["shipping.dead-letters"] == []


def test_an_order_whose_partner_never_comes_takes_the_step_after_the_wait() -> None:
    result = run_in_memory(shipping, {"shop.products": [TEA], "shop.orders": [order(1), order(2)]})
    assert result["shop.enriched-orders"] == []
    letter = result["shipping.dead-letters"][1]
    assert letter.key == b"shop.orders/0/1"
    assert letter.row == {**letter.row, "order_id": "o2"}
    assert dict(letter.headers)["larder.cause"] == b"shop.customers has no row 'c1'"
    assert dict(letter.headers)["larder.key"] == b"o2"


def test_fulfilment_passes_on_an_order_without_a_customer() -> None:
    result = run_in_memory(fulfilment, {shop.customers: [ADA], shop.orders: [order(1), order(2, "c9")]})
    rows: list[Fulfilment] = [record.row for record in result["shop.fulfilments"]]
    assert [row.customer for row in rows] == [ADA, None]


def test_a_table_keeps_the_newest_revision_and_forgets_what_was_deleted() -> None:
    newer = Customer(customer_id="c1", name="Ada L.", country="AT", revision=2)
    bob = Customer(customer_id="c2", name="Bob", country="DE", revision=5)
    late = Customer(customer_id="c2", name="Bob", country="DE", revision=4)
    customers: list[Any] = [newer, ADA, bob, ("c2", None), late]
    result = run_in_memory(fulfilment, {shop.customers: customers, shop.orders: [order(1), order(2, "c2")]})
    assert [record.row.customer for record in result["shop.fulfilments"]] == [newer, None]


def test_a_deleted_row_comes_back_with_a_newer_revision() -> None:
    again = Customer(customer_id="c1", name="Ada", country="AT", revision=2)
    records: dict[Any, list[Any]] = {shop.customers: [ADA, ("c1", None), again], shop.orders: [order(1)]}
    assert run_in_memory(fulfilment, records)["shop.fulfilments"][0].row.customer == again


def test_what_cannot_be_read_is_parked_and_nothing_else_is_lost() -> None:
    result = run_in_memory(
        fulfilment,
        {
            shop.customers: [ADA, ("c3", b"{"), ("c4", ADA), (None, ADA), ("c5", b"[" * 5000)],
            shop.orders: [("o0", None), ("o1", b"{"), order(2), ("o3", b"{}")],
        },
    )
    assert [record.key for record in result["shop.fulfilments"]] == [b"o2"]
    letters = {record.key: dict(record.headers)["larder.cause"] for record in result["fulfilment.dead-letters"]}
    assert set(letters) == {f"shop.customers/0/{offset}".encode() for offset in (1, 2, 3, 4)} | {
        f"shop.orders/0/{offset}".encode() for offset in (0, 1, 3)
    }
    assert letters[b"shop.orders/0/0"] == b"the record has no value"
    assert b"requires the value of customer_id" in letters[b"shop.customers/0/2"]


@given(
    st.lists(st.integers(0, 4).map(str), unique=True),
    st.lists(st.integers(0, 6).map(str), max_size=8),
)
def test_global_and_co_partitioned_joins_give_the_same_set(customers: list[str], ordered: list[str]) -> None:
    whole = Service("fulfilment")
    whole.join(
        shop.orders,
        whole.global_table(shop.customers).on("customer_id"),
        into=shop.fulfilments,
        missing=PassOn,
    )
    records: dict[Any, list[Any]] = {
        shop.customers: [Customer(customer_id=c, name=c, country="AT", revision=1) for c in customers],
        shop.orders: [order(number, customer) for number, customer in enumerate(ordered)],
    }
    one, other = run_in_memory(whole, records), run_in_memory(fulfilment, records)
    assert one["shop.fulfilments"] == other["shop.fulfilments"]
    assert len(one["shop.fulfilments"]) == len(ordered)


class Reading(Row):
    reading_id: str
    meter: int | None


class Meter(Row):
    meter: int
    place: str


class Placed(Row):
    reading_id: str
    place: str


readings = EventTopic("readings", Reading, key="reading_id")
meters = OwnerTopic("meters", Meter, key="meter", key_type=int)
placed = EventTopic("placed", Placed, key="reading_id")
counted = EventTopic("counted", Placed, key="reading_id")


def metering(missing: Any, source: Any = readings) -> Service:
    service = Service("metering")

    @service.join(source, service.global_table(meters).on("meter"), into=placed, missing=missing)
    def place(reading: Reading, meter: Meter | None) -> Placed | None:
        if meter is not None and meter.place == "broken":
            message = "no place"
            raise LookupError(message)
        return Placed(reading_id=reading.reading_id, place=meter.place) if meter else None

    return service


GIVEN: dict[Any, list[Any]] = {
    readings: [
        Reading(reading_id="r1", meter=1),
        Reading(reading_id="r2", meter=None),
        Reading(reading_id="r3", meter=2),
        Reading(reading_id="r4", meter=3),
    ],
    meters: [Meter(meter=1, place="cellar"), Meter(meter=2, place="broken")],
}


@pytest.mark.parametrize("missing", [PassOn, Drop, DeadLetter, Wait(seconds=1).then(Drop)])
def test_a_function_places_readings_and_each_step_settles_the_others(missing: Any) -> None:
    result = run_in_memory(metering(missing), GIVEN)
    assert [record.row for record in result["placed"]] == [Placed(reading_id="r1", place="cellar")]
    causes = [dict(record.headers)["larder.cause"] for record in result["metering.dead-letters"]]
    failed = b"place raised LookupError: no place"
    parked = [b"meter is null", failed, b"meters has no row 3"]
    assert causes == (parked if missing is DeadLetter else [failed])


def test_an_event_with_null_in_the_field_it_is_rekeyed_by_is_parked() -> None:
    result = run_in_memory(metering(PassOn, readings.by("meter")), GIVEN)
    causes = [dict(record.headers)["larder.cause"] for record in result["metering.dead-letters"]]
    assert b"meter is null: the event belongs to no partition" in causes


def test_null_in_the_field_of_by_is_left_out_where_by_says_drop() -> None:
    result = run_in_memory(metering(DeadLetter, readings.by("meter", missing=Drop)), GIVEN)
    causes = [dict(record.headers)["larder.cause"] for record in result["metering.dead-letters"]]
    assert causes == [b"place raised LookupError: no place", b"meters has no row 3"]
    assert [record.row for record in result["placed"]] == [Placed(reading_id="r1", place="cellar")]


@pytest.mark.parametrize(("missing", "parked"), [(Drop, []), (DeadLetter, [b"readings/0/1"])])
def test_a_fold_by_a_field_that_is_null_leaves_the_event_out_as_by_says(missing: Any, parked: list[bytes]) -> None:
    service = Service("metering")
    state = OwnerTopic("metering.meters", Meter, key="meter", key_type=int, owner="metering")

    @service.fold(readings.by("meter", missing=missing), state=service.table(state))
    def last(reading: Reading, _: Meter | None) -> Meter:
        return Meter(meter=reading.meter or 0, place=reading.reading_id)

    result = run_in_memory(service, {readings: GIVEN[readings]})
    assert [record.row.meter for record in result["metering.meters"]] == [1, 2, 3]
    assert [record.key for record in result["metering.dead-letters"]] == parked


def test_the_results_of_one_join_are_the_source_of_the_next_in_any_order() -> None:
    service = Service("chain")
    names = OwnerTopic("names", Placed, key="reading_id")
    table = service.global_table(names)
    service.join(placed, table.on("reading_id"), into=counted)
    service.join(readings, service.global_table(meters).on("meter"), into=placed, missing=PassOn)(
        lambda reading, _: Placed(reading_id=reading.reading_id, place="x")
    )
    name = Placed(reading_id="r1", place="name")
    result = run_in_memory(service, {readings: [Reading(reading_id="r1", meter=None)], names: [name]})
    assert [record.value for record in result["counted"]] == [
        b'{"reading_id":"r1","place":"x","placed":{"reading_id":"r1","place":"name"}}'
    ]


def test_joins_that_feed_one_another_are_refused() -> None:
    service = Service("circle")
    names = service.global_table(OwnerTopic("names", Placed, key="reading_id"))
    service.join(placed, names.on("reading_id"), into=counted)
    service.join(counted, names.on("reading_id"), into=placed)
    with pytest.raises(DeclarationError, match="joins and decides that do not feed themselves; found a circle of"):
        run_in_memory(service, {})


def test_records_of_a_topic_that_the_service_does_not_read_are_refused() -> None:
    with pytest.raises(
        DeclarationError, match=r'found "shop\.products"; give records of shop\.customers, shop\.orders'
    ):
        run_in_memory(fulfilment, {shop.products: [TEA]})


@pytest.mark.parametrize(
    ("wrong", "found"),
    [(TEA, "a Product"), ({"order_id": "o1"}, "a dict"), (("o1", {"order_id": "o1"}), "a dict"), (None, "a NoneType")],
)
def test_what_is_no_row_of_its_topic_is_refused_with_its_place(wrong: Any, found: str) -> None:
    with pytest.raises(DeclarationError, match=rf"record 1 of shop\.orders: requires a row of Order, .*found {found}"):
        run_in_memory(fulfilment, {shop.orders: [order(1), wrong]})


def test_results_are_found_by_the_topic_as_by_its_name() -> None:
    result = run_in_memory(fulfilment, {shop.customers: [ADA], shop.orders: [order(1)]})
    assert len(result[shop.fulfilments]) == 1
    assert result[shop.fulfilments] is result["shop.fulfilments"]
    with pytest.raises(KeyError, match=r"found 'shop\.products'; ask for shop\.fulfilments"):
        result[shop.products]


def test_a_service_with_problems_is_not_run() -> None:
    service = Service("s")
    service.global_table(OwnerTopic("names", Placed, key="nope"))
    with pytest.raises(DeclarationError, match="a key requires a field of Placed"):
        run_in_memory(service, {})


def test_a_service_with_a_name_that_is_no_folder_is_not_run() -> None:
    with pytest.raises(DeclarationError, match=r"service \.\./up: a name requires 1 to 100 of the characters"):
        run_in_memory(Service("../up"), {})


def test_a_row_type_that_cannot_be_decoded_is_not_run() -> None:
    class Strange(Row):
        key: str
        thing: object

    service = Service("s")
    service.global_table(OwnerTopic("strange", Strange, key="key"))
    with pytest.raises(DeclarationError, match="found Strange with TypeError: type <class 'object'> is not supported"):
        run_in_memory(service, {})


class Address(Row):
    address_id: str
    customer_id: str
    revision: int


class Label(Address):
    customer: Customer


def test_rows_that_are_joined_into_rows_take_deletions_and_lost_partners_along() -> None:
    addresses = OwnerTopic("addresses", Address, key="address_id", revision="revision")
    labels = OwnerTopic("labels", Label, key="address_id", revision="revision", owner="post")
    service = Service("post")
    service.join(addresses.by("customer_id"), service.table(shop.customers), into=labels, missing=Drop)
    moved = [Address(address_id="a1", customer_id=customer, revision=at) for at, customer in enumerate(("c1", "c9"))]
    result = run_in_memory(service, {shop.customers: [ADA], addresses: [*moved, ("a1", None)]})
    assert [record.key for record in result["labels"]] == [b"a1"] * 3
    assert [record.value is None for record in result["labels"]] == [False, True, True]
    assert result["labels"][0].row.customer == ADA
    assert result["post.dead-letters"] == []
