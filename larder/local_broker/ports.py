"""Ports of this machine: which are free, and which process listens on one. Knows no brokers."""

from __future__ import annotations

import re
import socket
from pathlib import Path

LISTENING = "0A"  # the state in /proc/net/tcp


def free_port(but: int = 0) -> int:
    """Return a free loopback port other than `but`; another process may still take it first."""
    while True:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = int(listener.getsockname()[1])
        # The system may give the same port twice in a row.
        if port != but:
            return port


def is_free(port: int) -> bool:
    """Return whether a loopback port can be bound now."""
    with socket.socket() as listener:
        # As in Java: connections in TIME_WAIT of a broker that has just stopped do not matter.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
            listener.listen(1)
        except OSError:
            return False
    return True


def holder(port: int) -> str:
    """Return the process that listens on `port`, as in "process 123 (java)", if the system shows it."""
    inodes = _listening_inodes(port)
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            target = str(link.readlink())
        except OSError:
            continue  # the process has ended, or is another user's
        if (match := re.fullmatch(r"socket:\[(\d+)\]", target)) and match[1] in inodes:
            return _described(link.parent.parent)
    return "another process"


def _listening_inodes(port: int) -> set[str]:
    inodes = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        if not table.exists():
            continue  # not Linux
        for line in table.read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(fields[9])
    return inodes


def _described(process: Path) -> str:
    return f"process {process.name} ({process.joinpath('comm').read_text(encoding='utf-8').strip()})"
