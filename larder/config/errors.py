"""The errors that a command shows instead of a traceback, and their exit codes.

There are two kinds: a mistake (the user has to change the input), and something unavailable (something else has to
change). Does not know where errors come from.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, ClassVar

from larder.declaring.problems import LarderError, Problem

if TYPE_CHECKING:
    from pathlib import Path

# A full file system, an exhausted quota, and a limit on the size of a file (ulimit -f).
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class AppError(LarderError):
    """Problems that end a command, one line each."""

    exit_code: ClassVar[int] = 1

    def __init__(self, *problems: Problem, details: str = "") -> None:
        """Keep the problems; `details`, such as the end of a log, are shown below them."""
        self.problems = problems
        self.details = details
        super().__init__("\n".join([*map(str, problems), *details.splitlines()]))


class MistakeError(AppError):
    """The command cannot do what was asked: change its input."""

    exit_code = 2


class UnavailableError(AppError):
    """Something outside is missing or does not answer: fix that, then try again."""

    exit_code = 3


def no_room(directory: Path, declared: str = "local broker") -> UnavailableError:
    """Return the error for a `directory` in which `declared` has no space left."""
    problem = Problem(
        declared,
        f"requires room to write in {directory}",
        "a full disk, or a limit on the size of files",
        "free some space, raise the limit (ulimit -f), or choose another directory",
    )
    return UnavailableError(problem)
