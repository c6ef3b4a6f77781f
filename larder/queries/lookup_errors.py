"""Why a look-up has no row as its answer: each reason is a class, so that callers can tell them apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from larder.declaring.problems import LarderError

if TYPE_CHECKING:
    from larder.declaring.problems import Problem


class LookupFailedError(LarderError):
    """A look-up without a row as its answer; `problem` says why, `extras` what is known of the partition.

    `retry_after` in seconds: when it is worth asking again; None where nothing is known.
    """

    kind: ClassVar[str] = "recovering"

    def __init__(self, problem: Problem, *, retry_after: int | None = None, **extras: Any) -> None:
        """Keep the problem."""
        self.problem = problem
        self.extras = extras
        self.retry_after = retry_after
        super().__init__(str(problem))


class NoSuchKeyError(LookupFailedError):
    """There is no row of that key: the partition that would hold it is here, caught up and fresh."""

    kind = "no-such-key"


class UnreadableRowError(LookupFailedError):
    """There is no row of that key here, since its newest record was rejected."""

    kind = "unreadable-row"


class UnreadableStateError(LookupFailedError):
    """The same of a state that the service decides on: it has a row, which this version cannot read."""

    kind = "unreadable-state"


class NoSuchTableError(LookupFailedError):
    """This worker's service has no table of that name."""

    kind = "no-such-table"


class NotSureError(LookupFailedError):
    """No row is here, and this worker cannot say that there is none: it does not know yet."""


class NotHereError(NotSureError):
    """Another worker processes the partition of the key."""

    kind = "not-here"


class UnservedError(NotSureError):
    """The worker that processes the partition of the key cannot be reached, and nobody stands by for it."""

    kind = "unserved"


class TooBusyError(LookupFailedError):
    """So much is asked of this worker already that it does not begin with more."""

    kind = "too-busy"
