"""How many files and connections a worker may have open at the same time: the limit of its process (ulimit -n).

A shell's usual soft limit of 1,024 is less than a thousand clients and the files of the stores need. A store that
cannot open a file ends the worker, so the clients get fewer places where the limit is low.
"""

from __future__ import annotations

import contextlib
import logging
import resource

from larder.declaring.problems import Problem
from larder.web.connection_slots import CONNECTIONS, KEPT_FREE

log = logging.getLogger("larder")

ENOUGH = 65_536
"""Hundreds of stores at 20 files, and all clients. Some systems have a hard limit of a thousand million."""

LEAST = 4_096
"""All clients, and 3,000 for the stores: a dozen whole tables of 256 files at most, or 150 partitions of 20."""


def raised(soft: int, hard: int) -> int:
    """Give the soft limit to set: enough, if the hard one allows it; never less than now."""
    if soft == resource.RLIM_INFINITY:
        return soft
    return max(soft, ENOUGH if hard == resource.RLIM_INFINITY else min(hard, ENOUGH))


def clients(allowed: int) -> int:
    """Give the number of places for clients: all of them, or a quarter of what is allowed."""
    if allowed == resource.RLIM_INFINITY or allowed >= LEAST:
        return CONNECTIONS
    return max(1, allowed // 4 - KEPT_FREE)


def shortage(allowed: int) -> Problem | None:
    """Say that the limit is too low, if it is."""
    if allowed == resource.RLIM_INFINITY or allowed >= LEAST:
        return None
    return Problem(
        "open files",
        f"requires a limit of {LEAST:,} for the files of all tables and {CONNECTIONS:,} clients",
        f"{allowed:,}, so that there are places for {clients(allowed):,} clients",
        "raise the hard limit (ulimit -Hn; LimitNOFILE= of systemd; --ulimit nofile= of Docker)",
    )


def raise_limit() -> int:
    """Raise the limit of this process as far as it may and needs to; gives what is allowed now, and logs a shortage."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # MacOS refuses more than a limit of its kernel, whatever the hard limit says.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised(soft, hard), hard))
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if (problem := shortage(allowed)) is not None:
        log.warning("%s", problem)
    return allowed
