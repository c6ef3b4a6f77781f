"""The one form in which users read mistakes, and the base class of all errors.

Every message says what was declared or given, what that requires, what was found, and what to do. Does not know the
checks.
"""

from collections.abc import Iterable
from typing import NamedTuple


class Problem(NamedTuple):
    """One mistake: what was declared, what it requires, what was found, what to do.

    `requires` is a phrase with its own verb ("co-partitioned tables require equal
    partition counts"), `found` completes "found ...", `do` is an instruction.

    >>> str(Problem("topic a", "a key requires a field", '"x"', "declare it"))
    'topic a: a key requires a field; found "x"; declare it'
    """

    declared: str
    requires: str
    found: str
    do: str

    def __str__(self) -> str:
        """Return the one line that users read."""
        return f"{self.declared}: {self.requires}; found {self.found}; {self.do}"


class LarderError(Exception):
    """The base class of all errors that Larder raises on purpose."""


class DeclarationError(LarderError):
    """Declarations have mistakes; `problems` lists all of them.

    The message has a line for each.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        """Keep the problems in the order in which they were found."""
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))
