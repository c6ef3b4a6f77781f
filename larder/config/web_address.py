"""Where a worker's web port is: as it is bound, as other workers are told, and as requests may call it. Pure."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

WILDCARDS = frozenset({"", "0.0.0.0", "::", "*"})  # noqa: S104 - what others cannot connect to


def bound_address(host: str, port: int) -> str:
    """Give the address at which a port is bound."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def told_address(told: str, host: str, port: int) -> str:
    """Give the address that others are told: `told` (host, or host:port) if it is set; "" when nobody can know it."""
    if told:
        return f"http://{told}" if told.rpartition("]")[2].count(":") else f"http://{told}:{port}"
    return "" if host in WILDCARDS else bound_address(host, port)


@lru_cache(256)
def is_name_of(host: str, bound: str) -> bool:
    """Say whether a request to `host` (a Host header) means a worker that is bound to `bound`.

    A site can have its own name resolve to this machine: its pages are then of the same origin as what answers there.
    An address, and "localhost", can be given to nobody else.
    """
    name = re.sub(r":[0-9]*$", "", host).strip("[]").lower()
    if name in {"localhost", bound.lower()}:
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or bound in WILDCARDS
