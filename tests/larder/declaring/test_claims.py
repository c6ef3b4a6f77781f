"""The claim that decides on the owner of a topic, whatever is withdrawn or compacted."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from larder.declaring.claims import Claim, owners, ownership_problems, read_claim, standing


def claim(topic: str, service: str) -> Claim:
    return Claim(topic, service, "an id", "2026-11-21T19:00:00+00:00")


def test_the_first_claim_that_was_not_withdrawn_counts() -> None:
    first, second, third = claim("stock", "a"), claim("stock", "b"), claim("stock", "c")
    records: list[tuple[bytes, Claim | None]] = [(b"1", first), (b"2", second), (b"3", third)]
    assert owners(standing(records).values()) == {"stock": first}
    assert owners(standing([*records, (b"1", None)]).values()) == {"stock": second}
    assert owners(standing([*records, (b"1", None), (b"2", None), (b"3", None)]).values()) == {}


def test_each_claim_has_a_key_of_its_own_and_is_read_back() -> None:
    made = claim("stock", "a")
    assert made.key("1") != made.key("2")
    assert read_claim(made.value()) == made


def test_other_values_are_not_claims() -> None:
    for value in (b"", b"{}", b"[" * 100_000, b'{"topic": 1}'):
        assert read_claim(value) is None


def test_another_owner_is_reported_by_name() -> None:
    owned = owners([claim("stock", "stock-keeping"), claim("prices", "sales")])
    (problem,) = ownership_problems("sales", ["stock", "prices", "free"], owned)
    assert str(problem) == (
        "service sales, owner of stock: a topic requires one owner, the only service that writes it; found"
        " stock-keeping, which has claimed it since 2026-11-21T19:00:00+00:00; give sales a topic of its own; or, if"
        " stock-keeping writes it no more, let go of its claim: larder topics --release stock"
    )


MADE = st.tuples(st.sampled_from("ab"), st.sampled_from(["x", "y", "z"]))


@given(st.lists(st.one_of(MADE, st.integers(0, 20)), max_size=20), st.data())
def test_compaction_changes_no_owner(steps: list[tuple[str, str] | int], data: st.DataObject) -> None:
    """Numbers withdraw the claim of an earlier step. Compaction may remove any record with a later one of its key."""
    records: list[tuple[bytes, Claim | None]] = []
    for number, step in enumerate(steps):
        if isinstance(step, int):
            records += [(b"%d" % step, None)] if step < number else []
        else:
            records.append((b"%d" % number, claim(*step)))
    last = {key: place for place, (key, _) in enumerate(records)}
    compacted = [record for place, record in enumerate(records) if last[record[0]] == place or data.draw(st.booleans())]
    assert owners(standing(compacted).values()) == owners(standing(records).values())


EXTREMES = st.none() | st.integers() | st.floats() | st.text(max_size=9) | st.lists(st.integers(), max_size=2)
FORMS = st.dictionaries(st.sampled_from(["topic", "service", "topic_id", "since", "x"]), EXTREMES).map(
    lambda form: json.dumps(form).encode()
)


@given(st.lists(st.tuples(st.binary(max_size=9), st.none() | st.binary(max_size=40) | FORMS), max_size=9))
def test_other_records_among_claims_are_skipped(
    records: list[tuple[bytes, bytes | None]],
) -> None:
    """A claim among them still counts, wherever it lies."""
    made = claim("own topic", "a")
    read = [
        (key, None if value is None else read_claim(value))
        for key, value in [*records, (b"a key of its own", made.value())]
    ]
    owned = owners(standing(read).values())
    assert owned["own topic"] == made
    ownership_problems("b", list(owned), owned)
