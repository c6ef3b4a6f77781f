"""Addresses of a worker's web port: where it is bound, what other workers use, and what requests may name. Pure."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

WILDCARDS = frozenset({"", "0.0.0.0", "::", "*"})  # noqa: S104 - what others cannot connect to


def bound_address(host: str, port: int) -> str:
    """Give the address to which a port is bound."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def public_address(given: str, host: str, port: int) -> str:
    """Give the address for other workers: `given` (host, or host:port) if it is set; "" if none is known."""
    if given:
        return f"http://{given}" if given.rpartition("]")[2].count(":") else f"http://{given}:{port}"
    return "" if host in WILDCARDS else bound_address(host, port)


@lru_cache(256)
def is_name_of(host: str, bound: str) -> bool:
    """Say whether a Host header names the worker that is bound to `bound`.

    A website can let its own name resolve to this machine; to a browser the worker would then be of the same origin.
    Addresses and "localhost" cannot be abused in this way.
    """
    name = re.sub(r":[0-9]*$", "", host).strip("[]").lower()
    if name in {"localhost", bound.lower()}:
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or bound in WILDCARDS
