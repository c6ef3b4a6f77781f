"""Addresses as users write them: host, and host:port. Pure; looks nothing up."""

from __future__ import annotations

import ipaddress
import re

HIGHEST_PORT = 65535

_NAME = re.compile(r"[\w.\-]+")
_ADDRESS = re.compile(r"(?P<host>\[[^\[\]]+\]|[^:\[\]]+)(:(?P<port>[0-9]{1,5}))?")


def is_host(text: str) -> bool:
    """Return whether `text` is an IP address, or a name without empty labels.

    >>> is_host("kafka.svc"), is_host("kafka..svc"), is_host("::1")
    (True, False, True)
    """
    return _is_ip(text) or _is_name(text)


def is_address(text: str, *, needs_port: bool) -> bool:
    """Return whether `text` is host:port, with an IPv6 host in brackets; without `needs_port`, a host is enough.

    >>> is_address("[::1]:9092", needs_port=True), is_address("kafka:99999", needs_port=True)
    (True, False)
    """
    if (match := _ADDRESS.fullmatch(text)) is None:
        return False
    host, port = match["host"], match["port"]
    known = ":" in host and _is_ip(host[1:-1]) if host.startswith("[") else _is_name(host)
    return known and (not needs_port if port is None else 1 <= int(port) <= HIGHEST_PORT)


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_name(text: str) -> bool:
    if not _NAME.fullmatch(text):
        return False
    try:
        text.encode("idna")  # as a look-up of the name does
    except UnicodeError:
        return False
    return True
