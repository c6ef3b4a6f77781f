"""Index values as bytes: in order and unambiguous."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from larder.store.values import encoded

numbers = st.one_of(st.integers(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False))
values = st.one_of(st.none(), st.booleans(), numbers, st.text(), st.binary(), st.lists(st.integers(), max_size=2))


@given(numbers, numbers)
def test_numbers_sort_as_they_do_in_python(one: float, other: float) -> None:
    assert (encoded(one) < encoded(other)) == (one < other)
    assert (encoded(one) == encoded(other)) == (one == other)


@given(st.text(alphabet=st.sampled_from("\0\x01\xffab")), st.text(alphabet=st.sampled_from("\0\x01\xffab")))
def test_texts_sort_as_their_code_points_do(one: str, other: str) -> None:
    assert (encoded(one) < encoded(other)) == (one < other)


@given(values, values, st.binary(max_size=3), st.binary(max_size=3))
def test_a_value_shows_where_it_ends_whatever_key_follows(one: Any, other: Any, key: bytes, next_key: bytes) -> None:
    same = type(one) is type(other) and one == other
    if encoded(one) + key == encoded(other) + next_key:
        assert encoded(one) == encoded(other)
        assert key == next_key
    elif same:
        assert encoded(one) == encoded(other)
