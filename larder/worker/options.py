"""The options of a worker."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Literal, NamedTuple

from larder.config.connection import Connection
from larder.delivery.guarantees import Name
from larder.group.start_offsets import Fallback
from larder.local_tables.horizon import Remainder


class Options(NamedTuple):
    """The options of a worker. Times are in seconds, sizes in bytes."""

    connection: Connection
    directory: Path
    worker: str
    session_timeout: float
    heartbeat: float
    poll_interval: float
    commit_interval: float
    guarantee: Name = "exactly_once"
    fetch_bytes: int = 1024 * 1024
    standby: int = 0
    on_stop: Literal["leave", "stay"] = "leave"
    inputs_from: Fallback | None = None
    tables_from: Remainder | None = None
    losses_accepted: Collection[str] = ()
