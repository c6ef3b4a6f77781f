"""Addresses of a worker's web port: where it is bound, what other workers use, and what requests may call it. Pure."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

WILDCARDS = frozenset({"", "0.0.0.0", "::", "*"})  # noqa: S104 - others cannot connect to these


def bound_address(host: str, port: int) -> str:
    """Return the address to which a port is bound."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def public_address(given: str, host: str, port: int) -> str:
    """Return the address for other workers: `given` (host, or host:port) if it is set; "" if none is known."""
    if given:
        return f"http://{given}" if given.rpartition("]")[2].count(":") else f"http://{given}:{port}"
    return "" if host in WILDCARDS else bound_address(host, port)


@lru_cache(256)
def is_name_of(host: str, bound: str) -> bool:
    """Return whether a Host header names the worker that is bound to `bound`.

    A website can make its own name resolve to this machine; a browser would then take the worker for the same origin.
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
