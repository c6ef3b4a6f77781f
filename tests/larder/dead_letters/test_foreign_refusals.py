"""What somebody else writes among refusals: what is one is listed and counted, and the rest ends no list."""

from __future__ import annotations

import contextlib
import io
import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from larder.cli.terminal.letters import show_refusals
from larder.dead_letters.letters import text_of
from larder.dead_letters.pages import Newest, PartitionLetters, page, read_cursor
from larder.dead_letters.refusals import REFUSALS, chosen, described_refusals, read_refusal
from larder.dead_letters.tallying import counted, tally
from tests.larder.dead_letters.test_foreign_letters import HEADERS
from tests.larder.dead_letters.test_letters import Stored

TEXTS = st.text(st.characters(codec="utf-8"), max_size=9) | st.sampled_from(
    ["\x1b[2J", "\r", "\u202e", "9" * 300, "5 of 7\n", "shop.levels"]
)
ANYTHING = TEXTS | st.text(max_size=3) | st.none() | st.integers() | st.lists(st.integers(), max_size=2)
IDS = st.builds("shop.requests/{}/{}".format, st.integers(-1, 10**11), st.integers(-1, 10**20))
VALUES = st.fixed_dictionaries(
    {},
    optional={
        "id": IDS | ANYTHING, "state": ANYTHING, "key": ANYTHING, "reason": ANYTHING, "event": ANYTHING, "x": ANYTHING,
    },
)  # fmt: skip
WHOLE = st.fixed_dictionaries(
    {"id": st.just("shop.requests/0/1"), "state": TEXTS, "key": TEXTS, "reason": TEXTS, "event": ANYTHING}
)
BYTES = (
    st.none()
    | st.binary(max_size=30)
    | st.sampled_from([b"[" * 5_000, b'{"id":"\\ud800"}', b'{"id":1e999}', b'{"event":' + b"[" * 5_000])
)
FORMED = (WHOLE | VALUES).map(lambda fields: json.dumps(fields).encode())


def stored(value: st.SearchStrategy[bytes | None]) -> st.SearchStrategy[Stored]:
    keys = st.none() | st.binary(max_size=30)
    return st.builds(Stored, keys, value, HEADERS, st.integers(0, 2**63 - 1), st.integers(-1, 2**63 - 1))


def listed(records: list[Stored], limit: int) -> tuple[dict[str, Any], str]:
    """What an answer has of the records of one partition, and what is shown of it."""
    letters = [letter for each in records if (letter := read_refusal(0, each)) is not None]
    newest = Newest()
    newest.take([each.summary() for each in letters if chosen(None, None, each)][::-1])
    found = page({0: PartitionLetters(newest.letters, beyond=False)}, limit, {})
    if found.next is not None:
        read_cursor(found.next)
    counts = tally(map(counted, letters), whole=True, subject=REFUSALS.subject)
    answer = described_refusals(found, counts)
    assert msgspec.json.decode(msgspec.json.encode(answer)) == json.loads(json.dumps(answer))
    with contextlib.redirect_stdout(io.StringIO()) as shown, contextlib.redirect_stderr(io.StringIO()):
        show_refusals("shop", answer)
    return answer, shown.getvalue()


@given(st.lists(stored(BYTES | FORMED), max_size=5), st.integers(1, 3))
def test_any_record_among_refusals_is_listed_counted_and_shown_or_skipped(records: list[Stored], limit: int) -> None:
    _, shown = listed(records, limit)
    assert all(each.isprintable() for each in shown.split("\n")), "nothing steers the terminal"


@given(stored(BYTES | FORMED), stored(WHOLE.map(lambda fields: json.dumps(fields).encode())))
def test_a_refusal_is_listed_and_counted_beside_any_records(foreign: Stored, good: Stored) -> None:
    answer, _ = listed([foreign, good], 2)
    letter = read_refusal(0, good)
    assert letter is not None
    fields = json.loads(good.value or b"")
    assert answer["counted"]["total"] >= 1
    assert (fields["state"], fields["reason"]) in {(each["state"], each["reason"]) for each in answer["refusals"]}
    assert text_of(letter.key) == fields["key"]
    assert chosen(fields["state"], fields["reason"], letter)
