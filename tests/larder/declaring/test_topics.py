"""Declarations of topics and rows are inert values."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from larder import EventTopic, OwnerTopic, Row
from larder.declaring.fields import json_names, scalar, unreadable
from larder.declaring.keys import INT64, TEXT
from larder.types import DeclarationError, Problem


class Parcel(Row):
    note: str | None = None
    parcel_id: str
    weight: float = 1.0
    count: int = 1


def test_a_row_is_frozen_and_takes_its_fields_by_name() -> None:
    parcel = Parcel(parcel_id="p1")
    assert (parcel.note, parcel.weight) == (None, 1.0)
    with pytest.raises(AttributeError):
        parcel.parcel_id = "p2"  # type: ignore[misc]
    with pytest.raises(TypeError):
        Parcel("p1")  # type: ignore[call-arg]


def test_a_row_ignores_unknown_fields() -> None:
    decoded = msgspec.json.decode(b'{"parcel_id": "p1", "colour": "red"}', type=Parcel)
    assert decoded == Parcel(parcel_id="p1")


def test_declarations_are_equal_and_hashable_by_what_they_say() -> None:
    one = OwnerTopic("t", Parcel, key="parcel_id", indexes=["note"])
    assert one == OwnerTopic("t", Parcel, key="parcel_id", indexes=("note",))
    assert len({one, OwnerTopic("t", Parcel, key="parcel_id")}) == 2


def test_one_index_given_as_a_string_is_one_index() -> None:
    assert OwnerTopic("t", Parcel, key="parcel_id", indexes="note").indexes == ("note",)


def test_the_topic_of_rekeyed_events_is_named_by_service_topic_and_field() -> None:
    rekeyed = EventTopic("shop.parcels", Parcel, key="parcel_id").by("note")
    assert rekeyed.name_in("post") == "post.shop.parcels.by.note"
    assert (rekeyed.key, rekeyed.row, rekeyed.key_codec) == ("parcel_id", Parcel, TEXT)


def test_records_that_a_service_reads_by_key_may_have_come_from_their_own_topic_before_it_was_scaled() -> None:
    parcels = EventTopic("shop.parcels", Parcel, key="parcel_id")
    by_note, by_key = replace(parcels.by("note"), generation=3), replace(parcels.by("parcel_id"), generation=2)
    assert by_note.former_inputs("post") == {"post.shop.parcels.by.note", "post.shop.parcels.by.note.g2"}
    assert by_key.former_inputs("post") == {"post.shop.parcels.by.parcel_id", "shop.parcels"}
    rows = OwnerTopic("shop.parcels", Parcel, key="parcel_id")
    mirror = replace(rows.by("parcel_id"), mirrored=True, generation=2)
    assert mirror.former_inputs("post") == {"post.shop.parcels.mirror", "shop.parcels"}
    assert parcels.by("note").former_inputs("post") == frozenset()


def test_declaring_a_mistake_raises_nothing() -> None:
    EventTopic("no name!", int, key="x", key_type=float, partitions=-1)  # type: ignore[arg-type]


def test_the_type_of_a_field_decides_on_its_key_type() -> None:
    assert scalar(Parcel, "parcel_id") == (TEXT, False)
    assert scalar(Parcel, "note") == (TEXT, True)
    assert scalar(Parcel, "count") == (INT64, False)
    assert scalar(Parcel, "weight") == (None, False)


@pytest.mark.parametrize("anything", [Any, msgspec.Raw, None, Parcel | None])
def test_a_field_for_anything_may_be_null(anything: Any) -> None:
    assert scalar(msgspec.defstruct("Loose", [("thing", anything)]), "thing") == (None, True)


def test_fields_have_the_names_that_json_has() -> None:
    class Renamed(Row, rename="camel"):
        parcel_id: str

    assert json_names(Renamed) == {"parcelId"}


def test_an_unreadable_row_type_is_explained() -> None:
    class Strange(Row):
        thing: "Nowhere"  # type: ignore[name-defined]  # noqa: F821

    assert "Nowhere" in (unreadable(Strange) or "")
    assert "no row type" in (unreadable(dict) or "")
    assert unreadable(Parcel) is None


class Unknown:
    pass


@pytest.mark.parametrize("unknown", [object, complex, Path, Unknown, list[Unknown], Unknown | None])
def test_a_field_of_an_unknown_type_makes_a_row_unreadable(unknown: Any) -> None:
    row: Any = msgspec.defstruct("Strange", [("key", str), ("thing", unknown)])
    assert (unreadable(row) or "").startswith("Strange with TypeError: type <class ")
    assert (unreadable(row) or "").endswith(" is not supported")


def test_a_default_that_json_cannot_write_makes_a_row_unreadable() -> None:
    class Strange(Row):
        key: str
        number: int = Unknown()  # type: ignore[assignment]

    assert "Encoding objects of type Unknown is unsupported" in (unreadable(Strange) or "")


def test_problems_read_as_what_was_declared_required_found_and_what_to_do() -> None:
    problem = Problem("join a with b", "x require y", "6 and 4", "make b global")
    assert str(problem) == "join a with b: x require y; found 6 and 4; make b global"
    assert str(DeclarationError([problem, problem])) == f"{problem}\n{problem}"
