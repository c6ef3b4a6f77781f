"""Keys: encoding, decoding, and refused values."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from larder.declaring.keys import BYTES, INT64, KEY_TYPES, TEXT, UUID, KeyType

KEYS = st.one_of(
    st.tuples(st.just(TEXT), st.text(st.characters(codec="utf-8"))),
    st.tuples(st.just(BYTES), st.binary()),
    st.tuples(st.just(INT64), st.integers(-(2**63), 2**63 - 1)),
    st.tuples(st.just(UUID), st.uuids()),
)


@given(KEYS)
def test_a_key_comes_back_as_it_was_encoded(case: tuple[KeyType, Any]) -> None:
    key_type, value = case
    assert key_type.decode(key_type.encode(value)) == value


def test_keys_are_the_bytes_that_java_writes() -> None:
    assert TEXT.encode("größe") == b"gr\xc3\xb6\xc3\x9fe"
    assert INT64.encode(-2) == b"\xff\xff\xff\xff\xff\xff\xff\xfe"
    assert UUID.encode(uuid.UUID(int=1)) == b"00000000-0000-0000-0000-000000000001"


@pytest.mark.parametrize(
    ("key_type", "value"),
    [
        (TEXT, 1),
        (TEXT, b"x"),
        (TEXT, "\ud800"),
        (BYTES, "x"),
        (INT64, 2**63),
        (INT64, True),
        (INT64, 1.0),
        (UUID, "00000000-0000-0000-0000-000000000001"),
    ],
)
def test_a_value_of_another_type_is_refused(key_type: KeyType, value: object) -> None:
    with pytest.raises(ValueError, match=r"key requires|surrogates"):
        key_type.encode(value)


@pytest.mark.parametrize(
    ("key_type", "key"),
    [
        (TEXT, b"\xff"),
        (INT64, b"1234567"),
        (UUID, b"no"),
        (UUID, b"{00000000-0000-0000-0000-000000000001"),
        (UUID, b"00000000000000000000000000000001"),
        (UUID, b"urn:uuid:00000000-0000-0000-0000-000000000001"),
        (UUID, b"00000000-0000-0000-0000-000000000001\n"),
    ],
)
def test_bytes_of_another_type_are_refused(key_type: KeyType, key: bytes) -> None:
    with pytest.raises(ValueError, match=r"key requires|invalid start byte|badly formed"):
        key_type.decode(key)


@given(st.uuids(), st.sampled_from([str.upper, str.lower, str.title]), st.sampled_from(["{}", "{{{}}}"]))
def test_a_uuid_in_any_case_and_in_braces_is_the_same_key(
    value: uuid.UUID, written: Callable[[str], str], shape: str
) -> None:
    key = shape.format(written(str(value))).encode()
    assert UUID.decode(key) == value
    assert UUID.one_form is not None
    assert UUID.one_form(key) == UUID.encode(value)


@given(st.binary(max_size=40))
def test_an_invalid_uuid_has_no_other_form(key: bytes) -> None:
    assert UUID.one_form is not None
    try:
        UUID.decode(key)
    except ValueError:
        assert UUID.one_form(key) == key


def test_key_types_are_declared_by_their_python_type() -> None:
    assert KEY_TYPES[str] is TEXT
    assert KEY_TYPES[bytes] is BYTES
    assert KEY_TYPES[int] is INT64
    assert KEY_TYPES[uuid.UUID] is UUID
