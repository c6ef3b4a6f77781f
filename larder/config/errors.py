"""What a command may tell its user in place of a traceback, and the exit code that goes with it.

Keeps two kinds: a mistake (the user can mend what was given) and something unavailable (the world has to change).
Knows nothing of where they come from.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, ClassVar

from larder.declaring.problems import LarderError, Problem

if TYPE_CHECKING:
    from pathlib import Path

# A full file system, a used-up quota, and a limit on the size of one file (ulimit -f): all mean "no room here".
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class AppError(LarderError):
    """Problems that end a command, one clear line each."""

    exit_code: ClassVar[int] = 1

    def __init__(self, *problems: Problem, details: str = "") -> None:
        """Keep the problems; `details` (a log's tail, for instance) is shown below them, never parsed."""
        self.problems = problems
        self.details = details
        super().__init__("\n".join([*map(str, problems), *details.splitlines()]))


class MistakeError(AppError):
    """What was asked cannot be done as it stands: change what was given."""

    exit_code = 2


class UnavailableError(AppError):
    """Something outside is missing or does not answer: put it right, then ask again."""

    exit_code = 3


def no_room(directory: Path, declared: str = "local broker") -> UnavailableError:
    """Say that `directory` has no room left for what was declared."""
    problem = Problem(
        declared,
        f"requires room to write in {directory}",
        "a full disk, or a limit on the size of files",
        "free some space, raise the limit (ulimit -f), or choose another directory",
    )
    return UnavailableError(problem)
