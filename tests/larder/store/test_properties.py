"""Tables under any order, duplication and batching, compared with an independent model."""

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from larder.store import Applied, Table
from larder.store.layout import ENTRY, HEADER_SIZE, ROW, TOMBSTONE
from larder.store.values import encoded
from tests.larder.store.samples import Sent, gone, opened, row, ticking

KEYS = ["a", "b", "ab", "a\0b", ""]
HOUR = 3_600.0
NOW = 1_000_000_000.0
COUNTRIES = [None, "", "A", "AT", "A\0T", "\0"]

# What an owner published: for each key, revisions that rise, some of them deletions.
histories = st.dictionaries(
    st.sampled_from(KEYS),
    st.lists(st.tuples(st.sampled_from(COUNTRIES), st.sampled_from(["n", "m"]), st.booleans()), min_size=1, max_size=5),
    min_size=1,
)
Event = tuple[str, int, str | None, str, bool]


def events(history: dict[str, list[tuple[str | None, str, bool]]]) -> list[Event]:
    return [
        (key, revision, country, name, deleted)
        for key, versions in history.items()
        for revision, (country, name, deleted) in enumerate(versions)
    ]


def sent(offset: int, event: Event) -> Sent:
    key, revision, country, name, deleted = event
    return gone(offset, key, revision) if deleted else row(offset, key, revision, country=country, name=name)


def expected(happened: Sequence[Event]) -> dict[str, tuple[str | None, str]]:
    """The newest version of each key, unless it is a deletion: the model."""
    newest: dict[str, Event] = {}
    for event in happened:
        if event[0] not in newest or event[1] > newest[event[0]][1]:
            newest[event[0]] = event
    return {key: (event[2], event[3]) for key, event in newest.items() if not event[4]}


def contents(table: Table) -> dict[str, tuple[str | None, str]]:
    return {row.customer_id: (row.country, row.name) for row in table.scan(limit=100)}  # type: ignore[attr-defined]


def check_indexes(table: Table) -> None:
    """The entries are exactly those of the rows; the count is right."""
    store = table.shard(0).store
    wanted = set()
    rows = 0
    for key, stored in store.scan_prefix(ROW):
        if len(stored) > HEADER_SIZE:
            rows += 1
            country = msgspec.json.decode(stored[HEADER_SIZE:]).get("country")
            wanted.add(b"icountry\0" + encoded(country) + key[1:])
    assert {key for key, _ in store.scan_prefix(ENTRY)} == wanted
    assert table.sizes().rows == rows


def applied_in_batches(table: Table, records: Sequence[Sent], sizes: Sequence[int]) -> Applied:
    total, start = Applied(), 0
    for size in [*sizes, len(records)]:
        part = table.apply(0, records[start : start + size])
        start += size
        total.new += part.new
        total.changed += part.changed
        total.unchanged += part.unchanged
        total.stale += part.stale
        total.deleted += part.deleted
        check_indexes(table)
    return total


@settings(max_examples=60, deadline=None)
@given(histories, st.randoms(use_true_random=False), st.lists(st.integers(1, 6), max_size=8), st.data())
def test_any_order_duplication_and_batching_gives_the_same_table(
    history: dict[str, list[tuple[str | None, str, bool]]],
    order: random.Random,
    sizes: list[int],
    data: st.DataObject,
) -> None:
    happened = events(history)
    again = data.draw(st.lists(st.sampled_from(happened), max_size=5))
    shuffled = happened + again
    order.shuffle(shuffled)
    with TemporaryDirectory() as directory:
        table = opened(Path(directory))
        if data.draw(st.booleans()):
            table.shard(0).catch_up(len(shuffled))
        applied_in_batches(table, [sent(offset, event) for offset, event in enumerate(shuffled)], sizes)
        assert contents(table) == expected(happened)
        table.close()
        table = opened(Path(directory))
        assert contents(table) == expected(happened)
        for country in COUNTRIES:
            found = {row.customer_id for row in table.by("country", country, limit=100)}  # type: ignore[attr-defined]
            assert found == {key for key, version in expected(happened).items() if version[0] == country}
        table.close()


def all_but_the_queue(table: Table) -> dict[bytes, bytes]:
    """Everything stored, except for queued deletions that one batch replaces and that single records make."""
    return {key: value for key, value in table.shard(0).store.scan(b"", None) if not key.startswith(TOMBSTONE)}


# Anything a broker may hold, with deletions that carry no revision and broken values.
anything = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(KEYS),
            st.integers(0, 4),
            st.sampled_from(COUNTRIES),
            st.sampled_from(["n", "m"]),
            st.booleans(),
        ),
        st.sampled_from(KEYS),
        st.none(),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(anything, st.lists(st.integers(1, 8), max_size=8))
def test_any_batching_gives_the_same_rows_as_one_by_one(log: list[Event | str | None], sizes: list[int]) -> None:
    records = [
        Sent(offset, b"broken", b"{")
        if entry is None
        else gone(offset, entry)
        if isinstance(entry, str)
        else sent(offset, entry)
        for offset, entry in enumerate(log)
    ]
    with TemporaryDirectory() as one, TemporaryDirectory() as other:
        batched, single = (opened(Path(at), clock=lambda: NOW) for at in (one, other))
        by_batches = applied_in_batches(batched, records, sizes)
        one_by_one = applied_in_batches(single, records, [1] * len(records))
        assert by_batches == one_by_one
        assert all_but_the_queue(batched) == all_but_the_queue(single)
        batched.close()
        single.close()


visits = st.lists(st.integers(0, 200), max_size=4).map(sorted)


def read_at(directory: Path, log: Sequence[tuple[float, Sent]], visited: Sequence[int]) -> dict[str, Any]:
    """The final content of a store that is open only at these hours, and forgets whatever it may."""
    for hour in [*visited, 200]:
        now = NOW + hour * HOUR
        table = opened(directory, partitions=(0,), clock=ticking([now]))
        while table.maintain(10):
            pass
        appended = [record for at, record in log if at <= hour]
        for record in appended:
            table.apply(0, [record])
            table.observe(0, len(appended), now)
            while table.maintain(10):
                pass
        table.observe(0, len(appended), now)
        found = contents(table)
        table.close()
    return found


@settings(max_examples=60, deadline=None)
@given(histories, st.randoms(use_true_random=False), visits, visits, st.data())
def test_stores_that_read_at_different_times_end_with_the_same_rows(
    history: dict[str, list[tuple[str | None, str, bool]]],
    order: random.Random,
    some: list[int],
    others: list[int],
    data: st.DataObject,
) -> None:
    """Records may have any time: in a backfill times are old or missing, and jump."""
    happened = events(history)
    shuffled = happened + data.draw(st.lists(st.sampled_from(happened), max_size=5))
    order.shuffle(shuffled)
    appended = sorted(order.uniform(0, 24) for _ in shuffled)
    times = data.draw(st.lists(st.integers(-1, 2 * 10**12), min_size=len(shuffled), max_size=len(shuffled)))
    log = [
        (at, replace(sent(offset, event), timestamp=time))
        for offset, (at, event, time) in enumerate(zip(appended, shuffled, times, strict=True))
    ]
    with TemporaryDirectory() as one, TemporaryDirectory() as other:
        assert read_at(Path(one), log, some) == expected(happened)
        assert read_at(Path(other), log, others) == expected(happened)
