"""JSON of other languages, and explanations of unreadable JSON."""

import time

import msgspec
import pytest

from larder import Row
from larder.declaring.decoding import decoder, with_integers


class Sample(Row):
    name: str = ""
    count: int = 0
    ratio: float = 0.0
    counts: dict[str, list[int]] | None = None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b'{"count":1.0}', Sample(count=1)),
        (b'{"count":-3.00,"ratio":1.5}', Sample(count=-3, ratio=1.5)),
        (b'{"count":1.2E7,"ratio":2.0}', Sample(count=12_000_000, ratio=2.0)),
        (b'{"count":9007199254740993.0}', Sample(count=9_007_199_254_740_993)),
        (b'{"counts":{"1.0":[1.0,2]}}', Sample(counts={"1.0": [1, 2]})),
        (rb'{"name":"\"1.0","count":1.0}', Sample(name='"1.0', count=1)),
    ],
)
def test_a_whole_float_is_an_integer_and_texts_do_not_change(value: bytes, expected: Sample) -> None:
    assert decoder(Sample)(value) == expected


@pytest.mark.parametrize("number", [b"1.5", b"1e-3", b"1e30", b"1e999999", b"1e-999999", b"1" * 100 + b".0"])
def test_a_float_outside_64_bit_integers_is_refused(number: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        decoder(Sample)(b'{"count":' + number + b"}")


@pytest.mark.parametrize(
    ("value", "cause"),
    [
        (b"", "the value is empty"),
        (b" \n", "the value is empty"),
        (rb'{"name":"\ud800"}', r"lone surrogate \\ud800"),
        (rb'{"other":"a\\\uD800x"}', r"lone surrogate \\uD800"),
        (rb'{"name":"\udc00"}', r"lone surrogate \\udc00"),
        (rb'{"name":"\\ud800', "truncated"),
        (rb'{"name":"\ud83d\ude00', "truncated"),
        (b"{", "truncated"),
    ],
)
def test_unreadable_values_are_explained(value: bytes, cause: str) -> None:
    with pytest.raises(msgspec.DecodeError, match=cause):
        decoder(Sample)(value)


@pytest.mark.parametrize("part", [b'\\"', b"1", b'"', b"1.", b"1e"])
def test_a_refused_value_takes_time_linear_in_its_length(part: bytes) -> None:
    started = time.process_time()
    with_integers(b'"' + part * 300_000)
    with_integers(part * 300_000)
    assert time.process_time() - started < 5
