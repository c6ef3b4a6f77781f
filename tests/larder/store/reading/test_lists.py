"""Ranges and indexes over real stores: order, bounds, and concurrent changes."""

import itertools
from pathlib import Path
from typing import Any

import pytest

from larder import OwnerTopic, Row
from larder.store import IndexBuildingError, InvalidRangeError, LimitError, NoSuchIndexError, NotHeldError, Table
from tests.larder.store.samples import Customer, Sent, by_partition, customers, gone, opened, row


class Measure(Row):
    id: int
    value: float | None = None
    exact: int = 0
    flag: bool = False


measures = OwnerTopic("t.measures", Measure, key="id", key_type=int, indexes=["value", "exact", "flag"])


def measure(offset: int, key: int, **fields: Any) -> Sent:
    body = ",".join(f'"{name}":{str(value).lower()}' for name, value in fields.items())
    return Sent(
        offset, key.to_bytes(8, "big", signed=True), b'{"id":%d%s}' % (key, f",{body}".encode() if body else b"")
    )


def ids(rows: Any) -> list[Any]:
    return [row.customer_id if hasattr(row, "customer_id") else row.id for row in rows]


def test_a_scan_gives_rows_in_the_order_of_keys(table: Table) -> None:
    table.apply(0, [row(offset, key, 1) for offset, key in enumerate(["b", "a", "é", "B", "ab"])])
    assert ids(table.scan(limit=100)) == ["B", "a", "ab", "b", "é"]


def test_a_scan_covers_all_stores_in_one_order(tmp_path: Path) -> None:
    table = by_partition(tmp_path)
    table.apply(0, [row(0, "a", 1, country="AT"), row(1, "c", 1, country="AT")])
    table.apply(1, [row(0, "b", 1, country="AT"), row(1, "d", 1, country="DE")])
    assert ids(table.scan(limit=100)) == ["a", "b", "c", "d"]
    assert ids(table.scan(limit=3)) == ["a", "b", "c"]
    assert ids(table.by("country", "AT", limit=100)) == ["a", "b", "c"]
    assert ids(table.by("country", "AT", limit=100, from_="b")) == ["b", "c"]


@pytest.mark.parametrize(
    ("bounds", "keys"),
    [
        ({"prefix": "ab"}, ["ab", "abc"]),
        ({"prefix": ""}, ["a", "ab", "abc", "b"]),
        ({"from_": "ab"}, ["ab", "abc", "b"]),
        ({"to": "ab"}, ["a"]),
        ({"from_": "ab", "to": "b"}, ["ab", "abc"]),
        ({"prefix": "a", "from_": "abc"}, ["abc"]),
        ({"prefix": "a", "from_": "b"}, []),
        ({"from_": "b", "to": "a"}, []),
    ],
)
def test_a_scan_keeps_to_its_bounds(table: Table, bounds: dict[str, str], keys: list[str]) -> None:
    table.apply(0, [row(offset, key, 1) for offset, key in enumerate(["a", "ab", "abc", "b", "x"])] + [gone(9, "x")])
    assert ids(table.scan(**bounds, limit=100)) == keys


def test_integer_keys_are_in_the_order_of_the_integers(tmp_path: Path) -> None:
    table = opened(tmp_path, measures)
    numbers = [-(2**63), -300, -1, 0, 1, 255, 256, 2**63 - 1]
    table.apply(0, [measure(offset, key) for offset, key in enumerate(reversed(numbers))])
    found = [row.id for row in table.scan(limit=100)]  # type: ignore[attr-defined]
    assert found == numbers
    for low, high in itertools.product([None, *numbers], repeat=2):
        wanted = [n for n in numbers if (low is None or n >= low) and (high is None or n < high)]
        assert [row.id for row in table.scan(from_=low, to=high, limit=100)] == wanted  # type: ignore[attr-defined]


def test_bounds_of_another_type_are_refused(tmp_path: Path, table: Table) -> None:
    with pytest.raises(InvalidRangeError, match="keys must be of the type text"):
        table.scan(from_=7, limit=1)
    numbers = opened(tmp_path, measures)
    with pytest.raises(InvalidRangeError, match="keys must be of the type int64"):
        numbers.scan(prefix="7", limit=1)


@pytest.mark.parametrize("limit", [0, -1, 10_001])
def test_a_limit_out_of_bounds_is_refused_before_reading(table: Table, limit: int) -> None:
    with pytest.raises(LimitError, match=f"a limit must be from 1 to 10000; found {limit}"):
        table.scan(limit=limit)
    with pytest.raises(LimitError):
        table.by("country", "AT", limit=limit)


def test_an_unknown_index_is_refused_with_the_declared_ones(table: Table) -> None:
    with pytest.raises(
        NoSuchIndexError, match=r"requires name among its indexes; found country; declare it: indexes=\['name'\]"
    ):
        table.by("name", "x", limit=1)


def test_index_values_that_contain_each_other_are_told_apart(table: Table) -> None:
    values = ["A", "A\0", "A\0\x01", "AT", "", "\0", "\xff", "null", None]
    table.apply(0, [row(offset, f"{offset}", 1, country=value) for offset, value in enumerate(values)])
    for offset, value in enumerate(values):
        assert ids(table.by("country", value, limit=100)) == [f"{offset}"]


def test_keys_that_look_like_the_end_of_a_value_are_told_apart(table: Table) -> None:
    table.apply(0, [row(0, "\x01x", 1, country="A"), row(1, "x", 1, country="A\0\x01"), row(2, "", 1, country="A")])
    assert ids(table.by("country", "A", limit=9)) == ["", "\x01x"]
    assert ids(table.by("country", "A\0\x01", limit=9)) == ["x"]


def test_numbers_and_truth_values_are_found_by_their_value(tmp_path: Path) -> None:
    table = opened(tmp_path, measures)
    table.apply(
        0,
        [
            measure(0, 1, value=1.5, exact=2**53, flag=True),
            measure(1, 2, value=-0.0, exact=2**53 + 1),
            measure(2, 3, value=0, exact=10**400),
            measure(3, 4, exact=-(10**400)),
        ],
    )
    assert ids(table.by("value", 1.5, limit=9)) == [1]
    assert ids(table.by("value", 0.0, limit=9)) == [2, 3]
    assert ids(table.by("value", None, limit=9)) == [4]
    assert ids(table.by("exact", 2**53, limit=9)) == [1]
    assert ids(table.by("exact", 2**53 + 1, limit=9)) == [2]
    assert ids(table.by("exact", 10**400, limit=9)) == [3]
    assert ids(table.by("flag", value=True, limit=9)) == [1]
    assert ids(table.by("flag", value=False, limit=9)) == [2, 3, 4]


def test_an_index_value_may_be_given_as_text(tmp_path: Path) -> None:
    table = opened(tmp_path, measures)
    table.apply(0, [measure(0, 1, value=1.5, flag=True)])
    assert ids(table.by("value", "1.5", limit=9)) == [1]
    assert ids(table.by("flag", "true", limit=9)) == [1]
    with pytest.raises(InvalidRangeError, match="the value must be of the type of value"):
        table.by("value", "much", limit=9)


def test_a_row_that_changes_its_value_moves_in_the_index(table: Table) -> None:
    table.apply(0, [row(0, "c1", 1, country="AT")])
    table.apply(0, [row(1, "c1", 2, country="DE")])
    assert ids(table.by("country", "AT", limit=9)) == []
    assert ids(table.by("country", "DE", limit=9)) == ["c1"]


def test_an_open_scan_gives_no_half_of_a_later_batch(table: Table) -> None:
    table.apply(0, [row(offset, key, 1) for offset, key in enumerate("abc")])
    scan = table.scan(limit=9)
    assert next(scan).customer_id == "a"  # type: ignore[attr-defined]
    table.apply(0, [row(10, "a", 2), row(11, "bb", 1), gone(12, "c")])
    assert ids(scan) == ["b", "c"]


def test_an_open_look_up_never_gives_a_row_with_another_value(table: Table) -> None:
    table.apply(0, [row(offset, key, 1, country="AT") for offset, key in enumerate("abcd")])
    rows = table.by("country", "AT", limit=9)
    assert next(rows).customer_id == "a"  # type: ignore[attr-defined]
    table.apply(0, [row(10, "b", 2, country="DE"), gone(11, "c"), row(12, "d", 2, country="AT", name="new")])
    assert [(row.customer_id, row.name) for row in rows] == [("d", "new")]  # type: ignore[attr-defined]


def test_many_rows_have_the_order_of_their_keys(table: Table) -> None:
    table.apply(0, [row(0, "a", 1), row(1, "b", 1), gone(2, "b")])
    for _ in range(2):
        rows = table.many(["b", "a", "x", "a"])
        assert [row and row.customer_id for row in rows] == [None, "a", None, "a"]  # type: ignore[attr-defined]
    assert table.many([]) == []


def indexed(*indexes: str) -> OwnerTopic:
    return OwnerTopic("shop.customers", Customer, key="customer_id", revision="revision", indexes=indexes)


def test_a_new_index_is_built_in_slices_from_existing_rows(tmp_path: Path) -> None:
    table = opened(tmp_path, customers)
    table.apply(0, [row(n, f"c{n:03}", 1, name=f"n{n % 3}", country="AT") for n in range(100)] + [gone(100, "c000")])
    table.close()

    table = opened(tmp_path, indexed("country", "name"))
    assert table.building == ["name"]
    assert len(list(table.by("country", "AT", limit=1_000))) == 99
    with pytest.raises(IndexBuildingError, match="index name must be complete; found it is being built"):
        table.by("name", "n1", limit=10)
    assert table.maintain(30)
    table.apply(
        0, [row(101, "c001", 2, name="n9"), row(102, "c098", 2, name="n9"), gone(103, "c002"), gone(104, "c097")]
    )
    table.close()

    table = opened(tmp_path, indexed("country", "name"))
    slices = 0
    while table.maintain(30):
        slices += 1
    assert slices <= 3
    assert table.building == []
    assert ids(table.by("name", "n9", limit=10)) == ["c001", "c098"]
    wanted = [f"c{n:03}" for n in range(100) if n % 3 == 1 and n not in {1, 97}]
    assert ids(table.by("name", "n1", limit=100)) == wanted


def test_an_index_that_is_no_longer_declared_is_dropped(tmp_path: Path) -> None:
    table = opened(tmp_path, indexed("country"))
    table.apply(0, [row(0, "c1", 1, country="AT")])
    table.close()
    table = opened(tmp_path, indexed())
    assert list(table.shard(0).store.scan_prefix(b"i")) == []
    table.apply(0, [row(1, "c1", 2, country="DE")])
    table.close()
    table = opened(tmp_path, indexed("country"))
    assert table.building == ["country"]
    while table.maintain(10):
        pass
    assert ids(table.by("country", "AT", limit=9)) == []
    assert ids(table.by("country", "DE", limit=9)) == ["c1"]


def test_an_open_list_does_not_keep_a_store_from_closing(tmp_path: Path) -> None:
    table = opened(tmp_path)
    table.apply(0, [row(n, f"c{n}", 1) for n in range(3)])
    rows = table.scan(limit=9)
    next(rows)
    table.close()
    table.open((0, 1), "id-1")
    assert table.raw(b"c1") is not None
    with pytest.raises(NotHeldError, match="reading requires an open store; found that it was closed; ask again"):
        next(rows)
