"""Reactions over lists of records: what they are told, and what comes of it."""

from __future__ import annotations

import pytest

from larder import EventTopic, OwnerTopic, Row, Service
from larder.testing import run_in_memory
from larder.types import Unknown


class Customer(Row):
    customer_id: str
    city: str
    revision: int


class Move(Row):
    customer_id: str
    old: str
    new: str


class Arrival(Row):
    city: str
    customer_id: str


customers = OwnerTopic("customers", Customer, key="customer_id", revision="revision", owner="crm")
moves = EventTopic("moves", Move, key="customer_id", owner="watch")
arrivals = EventTopic("arrivals", Arrival, key="city", owner="watch")

Told = Customer | Unknown | None


def moved(old: Told, new: Customer | None) -> Move:
    """The cities that a customer goes from and to."""
    before, after = (each.city if isinstance(each, Customer) else "" for each in (old, new))
    owner = new or old
    assert isinstance(owner, Customer)
    return move(owner.customer_id, before, after)


def move(customer_id: str, old: str, new: str) -> Move:
    return Move(customer_id=customer_id, old=old, new=new)


def watching(held: str = "table") -> Service:
    service = Service("watch")
    table = service.table(customers) if held == "table" else service.global_table(customers)
    service.on_change(table, into=moves if held == "table" else ())(moved)
    return service


def customer(city: str, revision: int) -> Customer:
    return Customer(customer_id="c1", city=city, revision=revision)


def test_a_reaction_is_told_each_change_of_a_row_and_nothing_of_records_that_change_none() -> None:
    rows = [customer("Linz", 1), customer("Graz", 3), customer("Wien", 2), customer("Graz", 3), ("c1", None)]
    result = run_in_memory(watching(), {customers: rows})
    assert [record.row for record in result[moves]] == [
        move("c1", "", "Linz"),
        move("c1", "Linz", "Graz"),
        move("c1", "Graz", ""),
    ]
    assert result["watch.dead-letters"] == []


def test_a_record_that_is_no_row_is_one_dead_letter_and_no_change() -> None:
    result = run_in_memory(watching(), {customers: [customer("Linz", 1), ("c1", b"{}")]})
    assert len(result[moves]) == 1
    (letter,) = result["watch.dead-letters"]
    assert letter.key == b"customers/0/1"


def test_a_reaction_that_fails_parks_the_record_of_all_reactions_and_the_row_changes() -> None:
    service = watching()

    @service.on_change(service.tables[0], into=arrivals)
    def arrived(_: Told, new: Customer | None) -> Arrival | None:
        if new is not None and new.city == "Nowhere":
            message = "no such city"
            raise ValueError(message)
        return None if new is None else Arrival(city=new.city, customer_id=new.customer_id)

    result = run_in_memory(service, {customers: [customer("Linz", 1), customer("Nowhere", 2), customer("Graz", 3)]})
    assert [record.row.new for record in result[moves]] == ["Linz", "Graz"]
    assert [record.row.old for record in result[moves]] == ["", "Nowhere"]
    assert [record.row.city for record in result[arrivals]] == ["Linz", "Graz"]
    (letter,) = result["watch.dead-letters"]
    assert b"no such city" in (dict(letter.headers)["larder.cause"] or b"")


def test_a_reaction_to_a_global_table_that_fails_is_told_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    service = Service("watch")

    @service.on_change(service.global_table(customers))
    def fails(_: Told, new: Customer | None) -> None:
        message = f"seen {new}"
        raise ValueError(message)

    result = run_in_memory(service, {customers: [customer("Linz", 1)]})
    assert result["watch.dead-letters"] == []
    assert "seen Customer" in caplog.text


def test_what_a_reaction_emits_is_an_input_of_what_reads_it() -> None:
    service = Service("watch")
    counts = OwnerTopic("counts", Arrival, key="city", owner="watch")
    state = service.table(counts)

    @service.fold(arrivals, state=state)
    def newest(arrival: Arrival, _: Arrival | None) -> Arrival:
        return arrival

    @service.on_change(service.table(customers), into=arrivals)
    def arrived(_: Told, new: Customer | None) -> Arrival | None:
        return None if new is None else Arrival(city=new.city, customer_id=new.customer_id)

    result = run_in_memory(service, {customers: [customer("Linz", 1)]})
    assert [record.row for record in result[counts]] == [Arrival(city="Linz", customer_id="c1")]
