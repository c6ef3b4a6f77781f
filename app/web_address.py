"""Where a worker's web port is: as it is bound, and as the other workers of its service are told. Pure."""

from __future__ import annotations

WILDCARDS = frozenset({"", "0.0.0.0", "::", "*"})  # noqa: S104 - what others cannot connect to


def bound_address(host: str, port: int) -> str:
    """Give the address at which a port is bound."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def told_address(told: str, host: str, port: int) -> str:
    """Give the address that others are told: `told` (host, or host:port) if it is set; "" when nobody can know it."""
    if told:
        return f"http://{told}" if told.rpartition("]")[2].count(":") else f"http://{told}:{port}"
    return "" if host in WILDCARDS else bound_address(host, port)
