"""Why a look-up returns no row: each reason is a class, so that callers can distinguish them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from larder.declaring.problems import LarderError

if TYPE_CHECKING:
    from larder.declaring.problems import Problem


class LookupFailedError(LarderError):
    """A look-up returned no row; `problem` says why, `extras` what is known of the partition.

    `retry_after` in seconds: when to ask again; None if that is unknown.
    """

    kind: ClassVar[str] = "recovering"

    def __init__(self, problem: Problem, *, retry_after: int | None = None, **extras: Any) -> None:
        """Keep the problem."""
        self.problem = problem
        self.extras = extras
        self.retry_after = retry_after
        super().__init__(str(problem))


class NoSuchKeyError(LookupFailedError):
    """The key has no row: its partition is here, caught up and fresh."""

    kind = "no-such-key"


class UnreadableRowError(LookupFailedError):
    """The key has no row here, since its newest record was rejected."""

    kind = "unreadable-row"


class UnreadableStateError(LookupFailedError):
    """The state of a decide has a row of that key, but this version cannot read it."""

    kind = "unreadable-state"


class NoSuchTableError(LookupFailedError):
    """This worker's service has no table of that name."""

    kind = "no-such-table"


class NoSuchCallError(LookupFailedError):
    """The service declares no call of that name, or no call with that id waits."""

    kind = "no-such-call"


class NotSureError(LookupFailedError):
    """No row is here, but this worker does not know yet whether there is one."""


class NotHereError(NotSureError):
    """Another worker processes the partition of the key."""

    kind = "not-here"


class UnservedError(NotSureError):
    """The worker that processes the partition of the key cannot be reached, and the partition has no standby."""

    kind = "unserved"


class TooBusyError(LookupFailedError):
    """This worker already handles as many requests of this kind as it accepts."""

    kind = "too-busy"
