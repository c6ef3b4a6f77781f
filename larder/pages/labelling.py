"""Places the labels of lines: beside or on their own line, between two columns, without overlaps.

Pure. A label without a free place is left out; the list below the drawing has it. Sizes are those of the drawing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

GAP = 96.0
"""The gap between two columns. A label stays inside, so that it never covers a box."""

# An upper bound of the average width of a letter, and how far letters reach above and below their baseline.
_LETTER, _RISE, _FALL = 6.6, 11.0, 4.0
# Distances from a column, above, below and on a line; and how much a line may rise and still count as level.
_ASIDE, _ABOVE, _BELOW, _ON, _LEVEL = 5.0, 6.0, 14.0, 4.0, 12.0
# The number of letters that fit between two columns.
_MOST = int((GAP - 2 * _ASIDE) / _LETTER)
# Parts of the way along a curve where its label may stand if both its ends are taken.
_ALONG = (0.5, 0.35, 0.65, 0.2, 0.8, 0.1, 0.9)

# The most lines of text between a label and its own line, if all nearer places are taken.
_FARTHEST = 3


class Step(NamedTuple):
    """A part of a line: a curve from the right side of a column to the left side of the next one."""

    x: float
    y: float
    to_y: float


class Label(NamedTuple):
    """A text that begins, ends or is centred at `x`, as `anchor` says, with its baseline at `y`."""

    text: str
    x: float
    y: float
    anchor: str

    @property
    def left(self) -> float:
        """Its left edge."""
        return self.x - len(self.text) * _LETTER * {"start": 0.0, "middle": 0.5, "end": 1.0}[self.anchor]

    @property
    def right(self) -> float:
        """Its right edge."""
        return self.left + len(self.text) * _LETTER

    @property
    def top(self) -> float:
        """Its upper edge."""
        return self.y - _RISE

    @property
    def bottom(self) -> float:
        """Its lower edge."""
        return self.y + _FALL

    def overlaps(self, other: Label) -> bool:
        """Return whether two labels overlap."""
        beside = self.right <= other.left or other.right <= self.left
        return not beside and self.top < other.bottom and other.top < self.bottom


class Labelled(NamedTuple):
    """A line and its texts; `at_the_end`: labels prefer the end of its first step, as several lines begin together."""

    steps: Sequence[Step]
    texts: Sequence[str]
    at_the_end: bool


def labels(lines: Iterable[Labelled]) -> list[Label]:
    """Return labels: each text gets the first free place at its line."""
    found: dict[float, list[Label]] = {}
    for line in lines:
        for text in line.texts:
            short = text if len(text) <= _MOST else f"{text[: _MOST - 1]}…"
            for gap, label in _places(line, short):
                taken = found.setdefault(gap, [])
                if not any(map(label.overlaps, taken)):
                    taken.append(label)
                    break
    return [label for those in found.values() for label in those]


def _places(line: Labelled, text: str) -> Iterator[tuple[float, Label]]:
    """Yield places for a text at a line, the best first, each with its gap."""
    for step in line.steps:
        start, end = (step.y, step.to_y, step.x + _ASIDE, "start"), (step.to_y, step.y, step.x + GAP - _ASIDE, "end")
        sides = (end, start) if line.at_the_end else (start, end)
        # On the side away from the bend; if that is taken, on the other one.
        for y, towards, x, anchor in sides:
            for bent in (False, True):
                below = (towards < y - _LEVEL) != bent
                yield step.x, Label(text, x, y + _BELOW if below else y - _ABOVE, anchor)
    yield from _on_the_curve(line, text)
    yield from _farther(line, text)


def _on_the_curve(line: Labelled, text: str) -> Iterator[tuple[float, Label]]:
    half = len(text) * _LETTER / 2
    for part in _ALONG:
        for step in line.steps:
            x = step.x + GAP * _bent(part, 0.0, 0.5, 0.5, 1.0)
            x = min(max(x, step.x + _ASIDE + half), step.x + GAP - _ASIDE - half)
            yield step.x, Label(text, x, _bent(part, step.y, step.y, step.to_y, step.to_y) + _ON, "middle")


def _farther(line: Labelled, text: str) -> Iterator[tuple[float, Label]]:
    """Yield places at the height of an end, and some lines of text above and below."""
    for lines in range(1, _FARTHEST + 1):
        for step in line.steps:
            for y, x, anchor in ((step.to_y, step.x + GAP - _ASIDE, "end"), (step.y, step.x + _ASIDE, "start")):
                yield step.x, Label(text, x, y - _ABOVE - lines * (_RISE + _FALL), anchor)
                yield step.x, Label(text, x, y + _BELOW + lines * (_RISE + _FALL), anchor)


def _bent(part: float, start: float, first: float, second: float, end: float) -> float:
    """Return a coordinate of a cubic curve at a parameter."""
    rest = 1.0 - part
    return rest**3 * start + 3 * rest**2 * part * first + 3 * rest * part**2 * second + part**3 * end
