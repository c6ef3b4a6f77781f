"""How many files and connections a worker may have open at a time: the limit of its process (ulimit -n).

The usual soft limit of 1,024 is less than the stores' files and a thousand clients need. A store that cannot open a
file ends the worker, so a low limit leaves less room for clients.
"""

from __future__ import annotations

import contextlib
import logging
import resource

from larder.declaring.problems import Problem
from larder.web.connection_slots import CONNECTIONS, KEPT_FREE

log = logging.getLogger("larder")

ENOUGH = 65_536
"""Hundreds of stores with 20 files each, and all clients. Some systems have a hard limit of a billion."""

LEAST = 4_096
"""All clients, and 3,000 files of stores: a dozen global tables of at most 256 files, or 150 partitions of 20."""


def raised(soft: int, hard: int) -> int:
    """Return the soft limit to set: enough, if the hard limit allows it, and never less than now."""
    if soft == resource.RLIM_INFINITY:
        return soft
    return max(soft, ENOUGH if hard == resource.RLIM_INFINITY else min(hard, ENOUGH))


def clients(allowed: int) -> int:
    """Return the number of connections for clients: all of them, or a quarter of the limit."""
    if allowed == resource.RLIM_INFINITY or allowed >= LEAST:
        return CONNECTIONS
    return max(1, allowed // 4 - KEPT_FREE)


def shortage(allowed: int) -> Problem | None:
    """Return the problem with a limit that is too low; None if it is high enough."""
    if allowed == resource.RLIM_INFINITY or allowed >= LEAST:
        return None
    return Problem(
        "open files",
        f"requires a limit of {LEAST:,} for the files of all tables and {CONNECTIONS:,} clients",
        f"{allowed:,}, which leaves connections for {clients(allowed):,} clients",
        "raise the hard limit (ulimit -Hn; LimitNOFILE= of systemd; --ulimit nofile= of Docker)",
    )


def raise_limit() -> int:
    """Raise the limit of this process as far as allowed and needed; log a shortage, and return the new limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # The kernel of macOS refuses more than its own limit, whatever the hard limit is.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised(soft, hard), hard))
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if (problem := shortage(allowed)) is not None:
        log.warning("%s", problem)
    return allowed
