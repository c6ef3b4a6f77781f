"""Commands refuse wrong declarations before they create, send or start anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.workers import larder

if TYPE_CHECKING:
    from pathlib import Path

MODULE = """
    from larder import EventTopic, OwnerTopic, Row, Service

    class Airport(Row):
        code: str

    class Flight(Row):
        number: str
        code: str

    airports = OwnerTopic("w.airports", Airport, key="code", revision="code", owner="atlas")
    service = Service("w")
    service.join(EventTopic("a b/ü", Flight, key="number"), service.global_table(airports).on("kode"),
                 into=EventTopic("w.landed", Flight, key="number"))
"""

PROBLEMS = (
    "larder: topic w.airports: a revision requires a field of type int; found Airport.code: str; "
    "change the field's type, or declare another field or key_type\n"
    'topic a b/ü: a topic name requires 1 to 249 of the characters a-z A-Z 0-9 . _ -; found "a b/ü" (5 characters); '
    "choose another name\n"
    'join a b/ü with w.airports: .on requires a field of Flight; found "kode"; use one of number, code\n'
)

NOBODY = "127.0.0.1:1"


@pytest.mark.parametrize(
    "command",
    [
        ("worker", "w"),
        ("services",),
        ("topics",),
        ("topics", "--create"),
        ("publish", "w.airports", "--as", "atlas", '{"code": "VIE"}'),
        ("get", "w.airports", "VIE"),
    ],
)
def test_wrong_declarations_are_refused_by_every_command_with_the_same_words(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    ended = larder(*command, kafka=NOBODY, directory=tmp_path, module=MODULE)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == PROBLEMS
