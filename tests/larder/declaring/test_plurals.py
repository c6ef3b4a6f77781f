"""Counts in sentences."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from larder.declaring.plurals import counted, plural

ROOT = Path(__file__).resolve().parents[3]
NOUNS = "records|rows|partitions|keys|replicas|offsets|topics|brokers"


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 records"), (1, "1 record"), (2, "2 records"), (3_000, "3,000 records")]
)
def test_one_record_is_singular(count: int, text: str) -> None:
    assert counted(count, "record") == text


def test_irregular_words_have_their_own_plural() -> None:
    assert [plural(count, "is", "are") for count in (1, 2)] == ["is", "are"]


def test_no_message_has_a_fixed_plural_behind_a_count() -> None:
    fixed = re.compile(rf"\{{[^{{}}]*\}} ({NOUNS})\b")
    sources = [path for folder in ("larder/doctor", "larder/declaring") for path in (ROOT / folder).glob("*.py")]
    found = {f"{path.name}: {hit[0]}" for path in sources for hit in fixed.finditer(path.read_text())}
    assert found == set()
