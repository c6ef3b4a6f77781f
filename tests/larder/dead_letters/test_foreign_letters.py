"""What somebody else writes among dead letters: it is read, listed and shown as whatever it is, and ends no command."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from larder.cli.terminal.letters import embedded, show_letter
from larder.cli.terminal.output import one_line
from larder.dead_letters.describing import described_whole, settled
from larder.dead_letters.letters import (
    REPLAYED_AS,
    SETTLED,
    TIMESTAMP,
    Letter,
    Settlement,
    read_record,
    settling_headers,
    stepped_headers,
)
from larder.declaring.dead_letters import ATTEMPT, STEP
from tests.larder.dead_letters.test_letters import Stored, _parked

NUMBERS = st.integers().map(lambda number: b"%d" % number) | st.integers(0, 5_000).map(lambda size: b"9" * size)
NAMES = [SETTLED, TIMESTAMP, ATTEMPT, STEP, REPLAYED_AS, "larder.service", "larder.cause", "larder.key", "other"]
HEADERS = st.lists(
    st.tuples(
        st.sampled_from(NAMES) | st.text(st.characters(codec="utf-8"), max_size=9),
        st.none() | st.binary(max_size=30) | NUMBERS | st.sampled_from([b"replayed", b"discarded"]),
    ),
    max_size=9,
)
COORDINATES = st.builds(
    lambda partition, offset: f"shop.orders/{partition}/{offset}".encode(),
    st.integers(-1, 10**11),
    st.integers(-1, 10**20),
)
RECORDS = st.builds(
    Stored,
    st.none() | st.binary(max_size=30) | COORDINATES,
    st.none() | st.binary(max_size=30) | st.sampled_from([b"[" * 5_000, b'"\\ud800"', b"1e999", b"9" * 5_000]),
    st.builds(
        lambda headers, timestamp: [*headers, *timestamp],
        HEADERS,
        st.lists(NUMBERS.map(lambda number: (TIMESTAMP, number)), max_size=1),
    ),
    st.integers(0, 2**63 - 1),
    st.integers(-1, 2**63 - 1),
)


@given(RECORDS)
def test_any_record_among_dead_letters_can_be_read_listed_and_shown(record: Stored) -> None:
    found = read_record(0, record)
    if isinstance(found, Settlement):
        msgspec.json.encode(settled(found))
        settling_headers(found.identity, found.how, found.replayed_as)
    elif found is not None:
        whole = described_whole(found, None)
        msgspec.json.encode(whole)
        one_line(embedded(whole))
        show_letter(whole)
        stepped_headers(found)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (TIMESTAMP, b"%d" % 2**63),
        (TIMESTAMP, b"%d" % (-(2**63) - 1)),
        (ATTEMPT, b"-1"),
        (ATTEMPT, b"%d" % 2**31),
        (TIMESTAMP, b"1_0"),
    ],
)
def test_a_record_with_an_impossible_time_or_count_is_no_letter(name: str, value: bytes) -> None:
    letter = _parked()
    assert isinstance(read_record(0, letter), Letter)
    others = [each for each in letter.headers if each[0] != name]
    assert read_record(0, letter._replace(headers=[*others, (name, value)])) is None
