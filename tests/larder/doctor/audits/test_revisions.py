"""Revisions that are missing, fall, or stay the same while the row changes."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given as examples
from hypothesis import strategies as st

from larder import OwnerTopic, Row
from larder.doctor.audits.revisions import REMEMBERED_MS, Revisions
from larder.doctor.findings import Finding
from larder.doctor.records import ValueReader
from tests.support.audited import Given, found, given, shop

CUSTOMERS = shop()[1]["customers"]


def row(revision: object, name: str = "Ada", key: str = "c1") -> dict[str, object]:
    return {"customer_id": key, "name": name, "revision": revision}


def audit(*records: Given, partition: int = 0, **options: int) -> list[Finding]:
    reader = ValueReader(CUSTOMERS)
    return found(Revisions(reader, "revision", **options), reader, {partition: records})


def test_rising_revisions_and_repeated_rows_are_no_finding() -> None:
    assert not audit(given(0, "c1", row(1)), given(1, "c1", row(1)), given(2, "c1", row(5)), given(3, "c2", row(1)))


def test_a_falling_revision_is_reported_with_both_coordinates() -> None:
    (finding,) = audit(given(3, "c1", row(7)), given(9, "c1", row(6)))
    assert finding.seen == (
        "1 record with a lower revision than an earlier one of their key: key c1 with 6 after 7 at shop.customers/0/3"
    )
    assert [str(place) for place in finding.samples] == ["shop.customers/0/9"]


@examples(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 5)), max_size=40))
def test_falls_are_counted_by_key_against_the_highest_earlier_revision(records: list[tuple[str, int]]) -> None:
    highest: dict[str, int] = {}
    falls = 0
    for key, revision in records:
        falls += revision < highest.get(key, revision)
        highest[key] = max(revision, highest.get(key, revision))
    findings = audit(*(given(at, key, row(revision, key=key)) for at, (key, revision) in enumerate(records)))
    assert [each.seen.split()[0] for each in findings] == [str(falls)] * bool(falls)


@examples(st.lists(st.integers(0, 9), min_size=1, max_size=20), st.data())
def test_the_batches_of_records_do_not_change_the_findings(revisions: list[int], data: st.DataObject) -> None:
    records = [given(at, "c1", row(revision)) for at, revision in enumerate(revisions)]
    cuts = sorted(data.draw(st.sets(st.integers(0, len(records)))) | {0, len(records)})
    reader = ValueReader(CUSTOMERS)
    batched = Revisions(reader, "revision")
    for start, stop in pairwise(cuts):
        batched.take(reader.read(0, records[start:stop]))
    assert list(batched.findings()) == audit(*records)


def test_revisions_are_not_compared_across_partitions() -> None:
    reader = ValueReader(CUSTOMERS)
    assert not found(Revisions(reader, "revision"), reader, {0: [given(0, "c1", row(7))], 1: [given(0, "c1", row(6))]})


def test_another_row_with_the_same_revision_is_found() -> None:
    (finding,) = audit(given(0, "c1", row(1)), given(1, "c1", row(1, "Bo")))
    assert finding.seen == "1 record with another value than the one before but the same revision"


def test_rows_without_a_revision_are_found() -> None:
    (finding,) = audit(
        given(0, "c1", {"customer_id": "c1", "name": "Ada"}),
        given(1, "c1", row(None)),
        given(2, "c1", row("7")),
        given(3, "c1", row(2**63)),
    )
    assert (finding.seen, len(finding.samples)) == ("4 records without a 64-bit revision in revision", 4)


def test_a_declared_default_is_not_a_revision() -> None:
    class Level(Row):
        key: str
        version: int = 0

    reader = ValueReader(OwnerTopic("levels", Level, key="key", revision="version"))
    (finding,) = found(Revisions(reader, "version"), reader, {0: [given(0, "a", {"key": "a"})]})
    assert finding.seen == "1 record without a 64-bit revision in version"


def test_a_deletion_keeps_its_revision_as_long_as_tables_remember_it() -> None:
    first, deleted = given(0, "c1", row(7)), given(1, "c1", None, timestamp=1_000)
    assert audit(first, deleted, given(2, "c1", row(1), timestamp=2_000))
    assert not audit(first, deleted, given(2, "c1", row(1), timestamp=1_001 + REMEMBERED_MS))
    assert not audit(first, deleted, given(2, "c1", row(8), timestamp=2_000))


def test_the_revision_of_a_deletion_has_to_rise_too() -> None:
    (finding,) = audit(given(0, "c1", row(7)), given(1, "c1", None, headers=[("larder.revision", b"6")]))
    assert "with 6 after 7" in finding.seen
    assert not audit(given(0, "c1", row(7)), given(1, "c1", None, headers=[("larder.revision", b"8")]))
    (bad,) = audit(given(0, "c1", None, headers=[("larder.revision", b"new")]))
    assert bad.seen.startswith("1 record without a 64-bit revision")


def test_the_number_of_remembered_keys_is_bounded() -> None:
    reader = ValueReader(CUSTOMERS)
    bounded = Revisions(reader, "revision", most_keys=10)
    bounded.take(reader.read(0, [given(at, f"c{at}", row(1, key=f"c{at}")) for at in range(1_000)]))
    assert len(bounded._last) == 10
    bounded.take(reader.read(0, [given(1_000, "c999", row(0, key="c999"))]))
    assert len(list(bounded.findings())) == 1
