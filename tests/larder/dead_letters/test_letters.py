"""What is read out of the records of dead letters, what settles them, and pages of a list."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from larder.cli.terminal.letters import show_letter
from larder.config.errors import MistakeError
from larder.dead_letters.describing import described_whole
from larder.dead_letters.letters import (
    REPLAYED,
    Letter,
    LetterIdentity,
    LetterPlace,
    Settlement,
    letter_id,
    read_record,
    replayed_headers,
    settling_headers,
    stepped_headers,
)
from larder.dead_letters.pages import Newest, PartitionLetters, page, read_cursor
from larder.declaring.coordinates import Coordinates
from larder.declaring.dead_letters import CALL_KEY, dead_letter, fitting
from larder.queries.positions import positions_text


class Stored(NamedTuple):
    """A record as a consumer gives it."""

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    offset: int = 0
    timestamp: int = 1_700_000_000_000


ORDER = Stored(b"o1", b'{"id":1}', [("trace", b"\xff"), ("larder.replayed", b"shop.orders/0/1")], 7, 123)


def _parked(record: Stored = ORDER, offset: int = 0) -> Stored:
    letter = dead_letter("shipping", "shop.orders", 2, record, "no customer")
    return Stored(letter.key, letter.value, letter.headers, offset)


def test_a_letter_has_its_original_record_and_the_cause() -> None:
    read = read_record(3, _parked(offset=5))
    assert read == Letter(
        Coordinates("shop.orders", 2, 7), "shipping", 123, "no customer", b"o1", b'{"id":1}', [("trace", b"\xff")],
        None, LetterPlace(3, 5, 1_700_000_000_000),
    )  # fmt: skip


def test_a_replayed_record_names_only_its_last_letter() -> None:
    read = read_record(0, _parked())
    assert isinstance(read, Letter)
    again = Stored(read.key, read.value, replayed_headers(read), 8, read.timestamp)
    assert again.headers == [("trace", b"\xff"), (REPLAYED, b"shop.orders/2/7")]
    parked = read_record(0, _parked(again))
    assert isinstance(parked, Letter)
    assert (parked.id.offset, parked.headers) == (8, [("trace", b"\xff")])


def test_only_the_step_of_a_call_gets_its_idempotency_key_again() -> None:
    given_up = ORDER._replace(headers=[(CALL_KEY, b"k")])
    letter = dead_letter("shipping", "shop.orders", 2, given_up, "refused", "call charge")
    read = read_record(0, Stored(*letter))
    assert isinstance(read, Letter)
    assert (read.call_key, read.headers) == (b"k", [])
    assert (CALL_KEY, b"k") in stepped_headers(read)
    assert CALL_KEY not in dict(replayed_headers(read))


def test_a_letter_says_what_was_left_out_of_it() -> None:
    whole = dead_letter("s", "t", 0, ORDER._replace(value=b"x" * 5_000), "why")
    read = read_record(0, Stored(*fitting(whole, 1_000)))
    assert isinstance(read, Letter)
    assert (read.value, read.left_out) == (None, "the value, of 5000 bytes")


@pytest.mark.parametrize(("how", "as_"), [("replayed", "shop.orders/2/9"), ("replayed", None), ("discarded", None)])
@pytest.mark.parametrize("step", [(None, 0), ("join shop.joined", 2)])
def test_a_settlement_is_read_as_it_was_written(
    how: str, as_: str | None, step: tuple[str | None, int]
) -> None:  # fmt: skip
    identity = LetterIdentity(Coordinates("shop.orders", 2, 7), 123, *step)
    stored = Stored(b"shop.orders/2/7", None, settling_headers(identity, how, as_), 9, 456)  # type: ignore[arg-type]
    assert read_record(1, stored) == Settlement(identity, how, as_, LetterPlace(1, 9, 456))


@pytest.mark.parametrize(
    "strange",
    [
        Stored(None, b"{}", []),
        Stored(b"\xff", b"{}", [("larder.timestamp", b"1")]),
        Stored(b"t/0/1", b"{}", []),
        Stored(b"t/0/1", b"{}", [("larder.timestamp", b"soon")]),
        Stored(b"t/0/1", None, [("larder.timestamp", b"1"), ("larder.settled", b"eaten")]),
        Stored(b"t/0", b"{}", [("larder.timestamp", b"1")]),
    ],
)
def test_a_foreign_record_is_no_letter(strange: Stored) -> None:
    assert read_record(0, strange) is None


@pytest.mark.parametrize(
    "text", ["", "t", "t/0", "t/0/", "t/0/1/2", "t/-1/1", "../0/1/x", "t/0/1\n", "t t/0/1", "t/0/\u0661"]
)
def test_an_invalid_id_is_a_mistake(text: str) -> None:
    with pytest.raises(MistakeError, match="requires an id as topic/partition/offset"):
        letter_id(text)


@pytest.mark.parametrize(
    "value", [b'{"n": 12345678901234567890123}', b' {"b":1.10,\n"a":[]} ', b"null", '"ü"'.encode()]
)
def test_a_value_that_is_json_is_shown_byte_for_byte(value: bytes) -> None:
    letter = read_record(0, _parked(ORDER._replace(value=value)))
    assert isinstance(letter, Letter)
    told = described_whole(letter, None)
    assert (bytes(told["value"]), told["shown_as"]) == (value, "json")


@pytest.mark.parametrize(
    ("value", "shown"), [(b"{", "{"), (b"\xff\x00", "\\xff\x00"), (b'{"a":' * 50_000, '{"a":' * 50_000), (b"", "")]
)
def test_a_value_that_is_not_json_is_shown_as_text(value: bytes, shown: str) -> None:
    letter = read_record(0, _parked(ORDER._replace(value=value)))
    assert isinstance(letter, Letter)
    told = described_whole(letter, None)
    assert (told["value"], told["shown_as"]) == (shown, "text")


@pytest.mark.parametrize("value", ['{"a":"\x9b2J\u2028"}', "\x1b[2J\n"])
def test_a_letter_cannot_control_a_terminal(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    letter = read_record(0, _parked(ORDER._replace(value=value.encode())))
    assert isinstance(letter, Letter)
    show_letter(described_whole(letter, None))
    said = capsys.readouterr().out
    assert "2J" in said
    assert all(each.isprintable() for each in said.replace("\n", ""))


def _letter(number: int, partition: int = 0, at: int = 0, offset: int = 0, timestamp: int = 1) -> Letter:
    place = LetterPlace(partition, offset, at)
    return Letter(Coordinates("t", partition, number), "s", timestamp, "why", None, None, [], None, place)


def _settled(letter: Letter) -> Settlement:
    return Settlement(letter.identity, "discarded", None, letter.place)


def _open(*windows: list[Letter | Settlement]) -> list[Letter]:
    newest = Newest()
    for window in windows:
        newest.take(window)
    return newest.letters


def test_a_settled_letter_is_not_listed_but_another_record_at_its_coordinates_is() -> None:
    one, two, other = _letter(1), _letter(2), _letter(1, timestamp=2)
    assert _open([_settled(one), other], [one, two, two, one]) == [other, two]
    assert _open([one, two], [_settled(one), two, one]) == [two]


@given(
    st.dictionaries(st.integers(0, 3), st.lists(st.integers(0, 5), max_size=12)),
    st.integers(1, 7),
)
def test_pages_together_have_every_letter_once_newest_first(times: dict[int, list[int]], limit: int) -> None:
    logs = {
        partition: [
            _letter(offset, partition, at, offset) for offset, at in enumerate(sorted(ats))
        ][::-1]
        for partition, ats in times.items()
    }  # fmt: skip
    before = {partition: len(log) for partition, log in logs.items()}
    seen: list[Letter] = []
    while True:
        found = {
            partition: PartitionLetters(
                [each for each in log if each.place.offset < before[partition]][: limit + 1], beyond=False
            )
            for partition, log in logs.items()
        }
        here = page(found, limit, before)
        seen += here.letters
        if here.next is None:
            break
        assert len(here.letters) == limit
        before = read_cursor(here.next)
    assert len(seen) == len({each.id for each in seen}) == sum(map(len, logs.values()))
    assert [each.place.at for each in seen] == sorted((each.place.at for each in seen), reverse=True)


@given(st.dictionaries(st.integers(0, 999_999), st.integers(0, 2**63 - 1), min_size=1))
def test_a_cursor_is_read_as_it_was_written(before: dict[int, int]) -> None:
    assert read_cursor(positions_text(before)) == before


@pytest.mark.parametrize(
    "text", ["", "0", "0-", "-1-2", "0-1.", "0-1,1-2", "0-1" * 10_000, "x", "0-1\n", "0-" + "9" * 99]
)
def test_a_forged_cursor_is_a_mistake(text: str) -> None:
    with pytest.raises(MistakeError, match="requires what an answer gave as next"):
        read_cursor(text)
