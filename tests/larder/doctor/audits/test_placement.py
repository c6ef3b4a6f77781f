"""Records in a partition that does not fit their key, and the partitioner that may have chosen it."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest
from hypothesis import given as examples
from hypothesis import strategies as st

from larder.declaring.keys import UUID
from larder.declaring.plurals import counted
from larder.doctor.audits.placement import KeyPlacement, crc32, fnv1a
from larder.doctor.findings import Finding
from larder.doctor.records import ValueReader
from larder.kafka.partitioner import partition_of
from larder.observability.conditions import Severity
from tests.support.audited import Given, found, given, shop

CUSTOMERS = shop()[1]["customers"]
KEYS = st.lists(st.binary(min_size=1, max_size=20), unique=True, max_size=60)


def audit(
    keys: list[bytes],
    place: Callable[[bytes, int], int],
    count: int,
    *,
    by_partition: bool = True,
    one_form: Callable[[bytes], bytes] | None = None,
) -> list[Finding]:
    records: dict[int, list[Given]] = {}
    for offset, key in enumerate(keys):
        records.setdefault(place(key, count), []).append(given(offset, key, {}))
    placement = KeyPlacement(CUSTOMERS.name, count, by_partition=by_partition)
    placement.one_form = one_form
    return found(placement, ValueReader(CUSTOMERS), records)


@examples(KEYS, st.integers(1, 50))
def test_records_placed_by_javas_partitioner_are_no_finding(keys: list[bytes], count: int) -> None:
    assert not audit(keys, partition_of, count)


@examples(KEYS, st.integers(2, 50))
def test_exactly_the_misplaced_keys_are_counted(keys: list[bytes], count: int) -> None:
    elsewhere = [key for key in keys if crc32(key, count) != partition_of(key, count)]
    findings = audit(keys, crc32, count)
    assert len(findings) == bool(elsewhere)
    if findings:
        assert findings[0].seen.startswith(f"{len(elsewhere)} of {counted(len(keys), 'record')} ")
        places = {(place.partition, place.offset) for place in findings[0].samples}
        assert len(places) == min(5, len(elsewhere))
        assert places <= {(crc32(key, count), keys.index(key)) for key in elsewhere}


def test_the_other_partitioners_give_known_hashes() -> None:
    # The check value of the polynomial, and a test vector of FNV's authors with the sign bit set.
    assert crc32(b"123456789", 2**32) == 0xCBF43926
    assert fnv1a(b"foobar", 2**32) == 2**32 - 0xBF9CF968


@pytest.mark.parametrize(
    ("place", "named", "fix"),
    [(crc32, "all of them fit CRC32", "partitioner=murmur2_random"), (fnv1a, "all of them fit FNV-1a", "Murmur2")],
)
def test_a_partitioner_that_fits_all_misplaced_keys_is_named(
    place: Callable[[bytes, int], int], named: str, fix: str
) -> None:
    (finding,) = audit([b"customer-%d" % number for number in range(100)], place, 6)
    assert named in finding.seen
    assert fix in finding.do[0]


def test_no_partitioner_is_named_if_one_key_does_not_fit() -> None:
    keys = [b"customer-%d" % number for number in range(100)]
    odd = next(key for key in keys if len({(crc32(key, 6) + 1) % 6, partition_of(key, 6)}) == 2)
    (finding,) = audit(keys, lambda key, count: (crc32(key, count) + (key == odd)) % count, 6)
    assert "they fit no known partitioner" in finding.seen


def test_no_partitioner_is_named_for_a_few_keys_that_may_fit_by_chance() -> None:
    keys = [key for key in (b"k%d" % number for number in range(50)) if crc32(key, 2) != partition_of(key, 2)][:3]
    (finding,) = audit(keys, crc32, 2)
    assert "no known partitioner" in finding.seen


def test_later_added_partitions_are_recognised() -> None:
    keys = [b"customer-%d" % number for number in range(100)]
    (finding,) = audit(keys, lambda key, _: partition_of(key, 4), 8)
    assert "where a topic with 4 partitions would have them: partitions were added since" in finding.seen


def test_misplacement_is_an_error_only_if_records_are_joined_by_partition() -> None:
    keys = [b"customer-%d" % number for number in range(100)]
    assert audit(keys, crc32, 6)[0].severity is Severity.ERROR
    assert audit(keys, crc32, 6, by_partition=False)[0].severity is Severity.HINT


def test_uuids_placed_by_their_capitals_are_recognised_if_rows_are_looked_up_by_partition() -> None:
    keys = [str(uuid.UUID(int=number * 7919)).upper().encode() for number in range(40)]
    elsewhere = [key for key in keys if partition_of(key, 4) != partition_of(key.lower(), 4)]
    (finding,) = audit(keys, partition_of, 4, one_form=UUID.one_form)
    assert finding.seen.startswith(f"{len(elsewhere)} of 40 records")
    assert "as they are written, in capitals or in braces" in finding.seen
    assert "lower case without braces" in finding.do[0]
    assert not audit(keys, partition_of, 4, by_partition=False, one_form=UUID.one_form)
