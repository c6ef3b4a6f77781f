"""Refusals as they are listed and counted: pure."""

from __future__ import annotations

import msgspec
import pytest

from larder.dead_letters.letters import Letter
from larder.dead_letters.pages import LetterPage
from larder.dead_letters.refusals import REFUSALS, chosen, described_refusals, read_refusal
from larder.dead_letters.tallying import tally
from larder.declaring.decisions import Refusal
from tests.larder.store.samples import Sent


def refusal(offset: int, reason: str = "only 0 left", key: str = "p1", state: str = "shop.levels") -> Letter:
    value = Refusal(id=f"shop.requests/2/{offset}", state=state, key=key, reason=reason, event={"pieces": 3})
    found = read_refusal(1, Sent(offset, key.encode(), msgspec.json.encode(value), 1_763_632_800_000))
    assert found is not None
    return found


def test_a_refusal_is_described_by_its_event_its_row_and_its_reason() -> None:
    (told,) = described_refusals(LetterPage([refusal(7)], None, beyond=False), None)["refusals"]
    assert told == {
        "id": "shop.requests/2/7", "at": "2025-11-20T10:00:00.000+00:00",
        "state": "shop.levels", "key": "p1", "reason": "only 0 left",
    }  # fmt: skip


@pytest.mark.parametrize("about", ["POST /orders " + "0a" * 16, "POST /orders/{order_id}/cancel " + "0a" * 32])
def test_a_refused_request_is_described_by_its_address_and_a_hash(about: str) -> None:
    value = Refusal(id=about, state="shop.levels", key="p1", reason="only 0 left", event={"pieces": 3})
    found = read_refusal(1, Sent(7, b"p1", msgspec.json.encode(value), 1_763_632_800_000))
    assert found is not None
    (told,) = described_refusals(LetterPage([found], None, beyond=False), None)["refusals"]
    assert told["id"] == about
    counts = tally([found], whole=True, subject=REFUSALS.subject)
    counted = described_refusals(LetterPage([], None, beyond=False), counts)["counted"]
    assert [(each["count"], each["samples"]) for each in counted["reasons"]] == [(1, [about])]


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"[",
        b"{}",
        b"[" * 5_000,
        b'{"id":"x","state":"s","key":"k","reason":"r"}',
        b'{"id":"POST /a x","state":"s","key":"k","reason":"r"}',
        b"\xff",
    ],
)
def test_foreign_records_among_refusals_are_skipped(value: bytes | None) -> None:
    assert read_refusal(0, Sent(0, b"k", value)) is None


def test_refusals_are_counted_by_state_and_kind_of_reason() -> None:
    some = [*(refusal(at, f"only {at} left") for at in range(4)), refusal(9, "closed", state="shop.sums")]
    counts = tally(some, whole=True, subject=REFUSALS.subject)
    counted = described_refusals(LetterPage([], None, beyond=False), counts)["counted"]
    assert (counted["total"], counted["whole"]) == (5, True)
    assert [(each["state"], each["reason"], each["count"]) for each in counted["reasons"]] == [
        ("shop.levels", "only … left", 4),
        ("shop.sums", "closed", 1),
    ]


def test_refusals_are_chosen_by_key_state_and_a_text_or_kind_of_reason() -> None:
    one = refusal(7)
    assert chosen(None, None, one)
    assert chosen("shop.levels", "ONLY", one)
    assert chosen(None, "only … left", one)
    assert not chosen("shop.sums", None, one)
    assert not chosen(None, "closed", one)
