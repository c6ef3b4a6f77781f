"""The key of a source must be that of the rows that it meets; a forgotten `.by` is found at start."""

import uuid
from dataclasses import replace
from typing import Any

import pytest

from larder import EventTopic, OwnerTopic, Row, Service
from larder.declaring.checks.declarations import Facts, TopicFacts, problems


class Flight(Row):
    flight_id: str
    dest: str
    origin: str = ""


class Arrivals(Row):
    dest: str
    count: int = 0
    revision: int = 0


class Numbered(Row):
    dest: int


class Leg(Row):
    leg_id: int
    start: str
    stop: str


class Hop(Row):
    hop_id: int


flights = EventTopic("air.flights", Flight, key="flight_id")
arrivals = OwnerTopic("air.arrivals", Arrivals, key="dest", revision="revision", owner="s")
joined = EventTopic("air.joined", Flight, key="flight_id")


def folded(source: Any, facts: Facts | None = None) -> str:
    service = Service("s")

    @service.fold(source, state=service.table(arrivals))
    def arrived(event: Any, row: Arrivals | None) -> Arrivals:
        return Arrivals(dest=event.dest, count=1 + (row.count if row else 0))

    return "\n".join(map(str, problems([service], facts)))


def met(source: Any, on: str | None = None, table: OwnerTopic = arrivals) -> str:
    service = Service("t")
    held = service.table(table)
    service.join(source, held if on is None else held.on(on), into=joined)
    return "\n".join(map(str, problems([service])))


def test_a_fold_over_events_of_another_key_is_refused_with_the_by_it_needs() -> None:
    assert folded(flights) == (
        'fold air.arrivals by air.flights: a state requires inputs with its own key, "dest"; found the key "flight_id"'
        ' in air.flights; use air.flights.by("dest"); if "flight_id" has the same values, declare key_is="dest" in'
        " air.flights"
    )
    assert folded(flights.by("dest")) == ""


def test_unequal_counts_are_refused_with_the_by_that_is_needed() -> None:
    found = folded(flights, {"air.flights": TopicFacts(6, "delete", 1_048_588, "id")})
    assert 'use air.flights.by("dest")' in found
    assert '.by("flight_id")' not in found


def test_a_decide_over_events_of_another_key_is_refused() -> None:
    service = Service("s")
    service.decide([flights.by("dest"), flights], state=service.table(arrivals))(lambda _event, _row: None)
    assert 'decide air.arrivals by air.flights: a state requires inputs with its own key, "dest"' in "\n".join(
        map(str, problems([service]))
    )


def test_a_join_with_a_table_of_another_key_is_refused_with_the_by_it_needs() -> None:
    assert met(flights) == (
        "join air.flights with air.arrivals: a co-partitioned table without .on requires a source with its own key,"
        ' "dest"; found the key "flight_id" in air.flights; use air.flights.by("dest"), or make air.arrivals global;'
        ' if "flight_id" has the same values, declare key_is="dest" in air.flights'
    )


@pytest.mark.parametrize("source", [flights.by("dest"), flights.by("origin"), replace(flights, key_is="dest")])
def test_key_is_declares_that_keys_are_the_same(source: Any) -> None:
    assert folded(source) == met(source) == ""


def test_a_co_partitioned_table_with_on_is_looked_up_by_that_field() -> None:
    assert met(flights, on="flight_id") == ""


def test_equal_names_of_different_types_are_not_enough() -> None:
    numbered = EventTopic("air.numbered", Numbered, key="dest", key_type=int)
    for found in (folded(numbered), met(numbered)):
        assert "a key of air.arrivals requires a field of type str; found Numbered.dest: int" in found
    assert 'give Numbered a field "dest" of type str, and use air.numbered.by("dest")' in folded(numbered)
    assert "requires a field of type str; found Numbered.dest: int" in folded(replace(numbered, key_is="dest"))


def test_an_unknown_field_is_reported_with_similar_ones() -> None:
    told = folded(EventTopic("legs", Leg, key="leg_id", key_type=int))
    assert 'use legs with .by("start") or .by("stop")' in told
    assert "key_is" not in told, "a number is not the same key as a text"
    assert 'give Hop a field "dest" of type str, and use hops.by("dest")' in folded(
        EventTopic("hops", Hop, key="hop_id", key_type=int)
    )


def test_key_is_may_differ_between_readers() -> None:
    one, other = Service("one"), Service("other")
    other.join(flights, other.global_table(arrivals).on("dest"), into=EventTopic("air.others", Flight, key="flight_id"))
    one.join(replace(flights, key_is="dest"), one.table(arrivals), into=joined)
    assert problems([one, other]) == ()


@pytest.mark.parametrize("key_type", [float, "str"])
def test_an_invalid_key_is_reported_with_all_other_problems(key_type: Any) -> None:
    found = met(flights, table=replace(arrivals, key_type=key_type))
    assert "key_type requires str, bytes, int or uuid.UUID" in found
    assert "a field of Flight" in folded(replace(flights, key="nowhere"))
    assert "a key of air.ids requires a field of type UUID" in met(
        flights.by("dest"), table=OwnerTopic("air.ids", Arrivals, key="dest", key_type=uuid.UUID)
    )


def test_a_key_that_is_not_a_field_of_the_row_is_reported() -> None:
    assert "Hop.dest: no such field" in folded(EventTopic("air.hops", Hop, key="dest"))
