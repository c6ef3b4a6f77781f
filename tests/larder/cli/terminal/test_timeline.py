"""A story on the terminal."""

from __future__ import annotations

import pytest

from larder.cli.terminal.timeline import NARROW_WIDTH, WIDTH, bar, show_story
from tests.larder.pages.samples import STORY


def test_a_story_has_a_line_for_each_record_with_a_bar_from_its_cause(capsys: pytest.CaptureFixture[str]) -> None:
    show_story(STORY)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "o4100: 4 records of 2 services within 340 ms"
    assert lines[1].split() == ["after", "step", "service", "worker", "record", "key", "what"]
    assert [line.split()[:2] for line in lines[2:3]] == [["0", "ms"]]
    assert "210 ms  +210 ms  ──────────────●" in lines[3]
    assert lines[5].endswith("refusal: only <1> left")
    assert lines[6:] == ["topics that do not exist: shop.returns"]


def test_foreign_text_cannot_control_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    steps = [{**STORY["steps"][0], "key": "\x1b[2J", "note": "\x07", "worker": "\x1b"}]
    show_story({**STORY, "key": "\x1b[2J", "steps": steps, "missing_topics": ["\x1b[2J"]})
    assert "\x1b" not in (out := capsys.readouterr().out)
    assert "\x07" not in out


def test_a_bar_ends_within_its_width_and_has_no_length_without_a_cause() -> None:
    steps = STORY["steps"]
    assert [len(bar(step, 340)) for step in steps] == [1, 15, WIDTH, WIDTH]
    assert [len(bar(step, 340, NARROW_WIDTH)) for step in steps] == [1, 6, NARROW_WIDTH, NARROW_WIDTH]
    assert bar({"after_ms": 0, "latency_ms": None}, 0) == "●"
    assert bar({"after_ms": 340, "latency_ms": None}, 340) == " " * (WIDTH - 1) + "●"
