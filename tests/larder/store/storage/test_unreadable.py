"""Keys whose newest record was rejected are exact, over restarts and full reads."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from larder.store import Rejected, Table
from tests.larder.store.samples import Sent, gone, opened, row


def keys(table: Table, partition: int = 0) -> dict[bytes, int]:
    unreadable = table.shard(partition).unreadable
    found = {each.key: each.offset for each in unreadable.all(partition)}
    assert unreadable.counts.get(partition, 0) == len(found)
    return found


def bad(offset: int, key: str) -> Sent:
    return Sent(offset, key.encode(), b"{}")


def test_a_key_is_unreadable_from_a_rejected_record_until_a_valid_one(tmp_path: Path) -> None:
    table = opened(tmp_path)
    table.apply(0, [row(0, "ada", 1), bad(1, "ada"), bad(2, "bob"), bad(3, "cid")])
    assert keys(table) == {b"ada": 1, b"bob": 2, b"cid": 3}
    table.apply(0, [row(4, "ada", 2), gone(5, "bob"), bad(6, "cid")])
    assert keys(table) == {b"cid": 6}
    found = table.shard(0).unreadable.of(0, b"cid")
    assert found is not None
    assert "requires the fields of Customer" in found.cause
    table.close()
    assert keys(opened(tmp_path)) == {b"cid": 6}


def test_a_plain_deletion_makes_an_invalid_key_readable(tmp_path: Path) -> None:
    table = opened(tmp_path)
    table.apply(0, [Sent(0, b"\xff", b"{}"), Sent(1, b"\xfe", None)])
    assert keys(table) == {b"\xff": 0}
    assert len(table.apply(0, [Sent(2, b"\xff", None)]).rejected) == 1
    assert keys(table) == {}


def test_a_deletion_with_an_unreadable_revision_makes_its_key_unreadable(tmp_path: Path) -> None:
    table = opened(tmp_path)
    table.apply(0, [row(0, "ada", 1), Sent(1, b"ada", None, headers=[("larder.revision", b"x")])])
    assert keys(table) == {b"ada": 1}


def test_a_full_read_finds_unreadable_keys(tmp_path: Path) -> None:
    table = opened(tmp_path)
    table.apply(0, [bad(0, "ada"), bad(1, "bob")])
    table.read_again(0, 1, 10.0)
    assert keys(table) == {}
    table.apply(0, [bad(1, "bob")])
    assert keys(table) == {b"bob": 1}


def test_misplaced_records_make_no_key_unreadable(tmp_path: Path) -> None:
    table = opened(tmp_path)
    table.apply(0, [], 1, [Rejected(bad(0, "ada"), "misplaced")])
    assert keys(table) == {}


@given(
    batches=st.lists(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(("row", "bad", "gone"))), max_size=5))
)
def test_a_key_is_unreadable_in_the_partition_of_its_last_record(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[tuple[str, str]]]
) -> None:
    table, last, offset = opened(tmp_path_factory.mktemp("table")), {}, 0
    for batch in batches:
        records = []
        for key, kind in batch:
            made = {"row": row(offset, key, offset), "bad": bad(offset, key), "gone": gone(offset, key)}
            records.append(made[kind])
            last[key.encode()] = (kind, offset)
            offset += 1
        table.apply(0, records)
    assert keys(table) == {key: at for key, (kind, at) in last.items() if kind == "bad"}
    table.close()
