"""Describes the machine of the measurement, and the versions of the compared systems."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from larder.local_broker import jars
from tests.bench import java_peer
from tests.bench.bench import PEERS

OURS = ("aiokafka", "faust-streaming", "msgspec", "rocksdict", "uvloop")
THEIRS = ("faust-streaming", "quixstreams")
_ASK = "import importlib.metadata as m, sys; print(*map(m.version, sys.argv[1:]))"

# Above it, other processes distort the comparison.
QUIET_PERCENT = 10.0


def busy_percent(seconds: float = 1.0) -> float:
    """Return how busy all cores are while nothing is measured."""
    return float(psutil.cpu_percent(interval=seconds))


def described() -> dict[str, Any]:
    """Return plain values for JSON."""
    peers = subprocess.run([str(PEERS), "-c", _ASK, *THEIRS], check=False, capture_output=True, text=True)
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in OURS},
        "kafka": jars.ENDPOINT[0].rpartition(":")[2],
        "kafka_streams": java_peer.ENDPOINT[0].rpartition(":")[2],
        "peers": dict(zip(THEIRS, peers.stdout.split(), strict=False)),
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
