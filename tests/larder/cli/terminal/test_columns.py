"""Lists in columns: whole for programs, shortened for a terminal."""

import pytest

from larder.cli.terminal.columns import columns
from larder.cli.terminal.letters import show_list

HEADINGS = ("key", "partition", "row")
ROWS = [("k" * 5_000, "3", "{}"), ("short", "11", "{" + "x" * 200 + "}")]


def test_the_longest_cells_are_shortened_until_lines_fit_the_terminal() -> None:
    lines = columns(HEADINGS, ROWS, right=["partition"], width=80).split("\n")
    assert all(len(line) <= 80 for line in lines)
    assert lines[1].startswith("kkk")
    assert "k…" in lines[1]
    assert lines[2].startswith("short ")
    assert lines[2].endswith("x…")


def test_a_list_without_a_width_is_not_shortened() -> None:
    lines = columns(HEADINGS, ROWS).split("\n")
    assert lines[1].startswith("k" * 5_000)
    assert ROWS[1][2] in lines[2]


def test_a_list_that_fits_is_not_shortened() -> None:
    rows = [("a", "1", "{}")]
    assert columns(HEADINGS, rows, width=80) == columns(HEADINGS, rows)


def test_a_list_in_a_pipe_is_not_shortened_to_a_narrow_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    letter = {"id": "0-17", "at": "orders/0/17", "key": "k" * 300, "cause": "c" * 300}
    show_list("shipping", {"letters": [letter], "next": None, "beyond": False})
    _, line = capsys.readouterr().out.splitlines()
    assert line.split() == ["0-17", "orders/0/17", letter["key"], letter["cause"]]
