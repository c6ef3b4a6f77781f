"""How numbers, times and addresses are written."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from larder.pages import wording


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, wording.NOTHING),
        (0.0402, "40 ms"),
        (1.44, "1.4 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (200, "3 min 20 s"),
        (7_500, "2 h 5 min"),
        (86_400, "1 d"),
        (900_000, "10 d 10 h"),
    ],
)
def test_a_time_has_two_figures_of_its_size(seconds: float | None, text: str) -> None:
    assert wording.duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, wording.NOTHING), (0, "0"), (1_204_331, "1,204,331"), (0.25, "0.2"), (1_210.5, "1,210")]
)
def test_thousands_stand_apart(value: float | None, text: str) -> None:
    assert wording.number(value) == text


@pytest.mark.parametrize(
    ("part", "text"), [(0, "0 %"), (1, "< 0.1 %"), (5_000, "50 %"), (9_999, "> 99.9 %"), (10_000, "100 %")]
)
def test_all_is_only_said_of_all_and_none_of_none(part: int, text: str) -> None:
    assert wording.share(part, 10_000) == text


def test_seconds_and_milliseconds_are_told_apart_and_foreign_timestamps_do_no_harm() -> None:
    assert wording.moment(1_795_300_000) == wording.moment(1_795_300_000_000) == "2026-11-21 22:26:40 UTC"
    assert wording.moment("2026-11-21T23:26:40.5+01:00") == "2026-11-21 22:26:40 UTC"
    assert wording.moment("yesterday") == "yesterday"
    assert wording.moment(2**62) == str(2**62)
    assert wording.moment(-1) == "1969-12-31 23:59:59 UTC"


def test_runs_of_numbers_become_ranges_and_long_lists_are_cut() -> None:
    assert wording.listed([7, 0, 1, 2, 4, 5]) == "0-2, 4, 5, 7"
    assert wording.listed([str(number) for number in range(20)]).endswith("7 and 12 more")


@pytest.mark.parametrize(("count", "text"), [(0, "0 B"), (999, "999 B"), (8_212_480, "8.2 MB"), (51e9, "51 GB")])
def test_bytes_have_a_unit(count: float, text: str) -> None:
    assert wording.size(count) == text


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_the_address_of_a_row_leads_back_to_its_key_and_to_nowhere_else(key: str) -> None:
    address = wording.row_address("shop.customers", key)
    parts = urlsplit(address)
    if parts.query:
        assert parts.path == "/tables/shop.customers/rows"
        assert unquote(parts.query.removeprefix("key=")) == key
    else:
        assert parts.path.count("/") == 4
        assert unquote(parts.path.rpartition("/")[2]) == key


@pytest.mark.parametrize("key", ["", ".", ".."])
def test_keys_that_a_browser_takes_out_of_a_path_are_asked_for_in_the_query(key: str) -> None:
    assert wording.row_address("t", key) == f"/tables/t/rows?key={key}"


@pytest.mark.parametrize(
    ("web", "link"),
    [
        ("http://127.0.0.1:41001", "http://127.0.0.1:41001/"),
        ("127.0.0.1:41001", "http://127.0.0.1:41001/"),
        ("javascript://x%0aalert(1)", None),
        ("javascript:alert(1)", "http://javascript:alert(1)/"),
        ("", None),
        (None, None),
    ],
)
def test_only_web_addresses_are_linked_to(web: str | None, link: str | None) -> None:
    assert wording.web_address(web) == link
