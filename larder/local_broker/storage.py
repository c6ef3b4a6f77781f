"""Formats the broker's storage with the id of its cluster, once, before its first start."""

from __future__ import annotations

import base64
import re
import uuid
from typing import TYPE_CHECKING

from larder.local_broker.failures import cause_of_death
from larder.local_broker.java import java_command, no_java, run_short

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def cluster_of(data: Path) -> str:
    """Return the cluster id in `data`; an empty text if it is not formatted."""
    try:
        text = (data / "meta.properties").read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    match = re.search(r"^cluster\.id=(\S+)$", text, re.MULTILINE)
    return match[1] if match else ""


def format_storage(jars: Sequence[Path], configuration: Path, cluster: str) -> None:
    """Format the storage of `configuration` for `cluster`, or for a new one; raise `UnavailableError`."""
    identity = cluster or base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
    # With "=", since one id in sixty-four begins with "-".
    arguments = ("format", f"--cluster-id={identity}", "--config", str(configuration), "--ignore-formatted")
    command = java_command(jars, "kafka.tools.StorageTool", *arguments)
    ended = run_short(command)
    if ended.returncode:
        said = f"{ended.stdout}{ended.stderr}".strip()
        # Errors of the virtual machine begin like this; Kafka's own do not.
        if not said or said.startswith("Error"):
            raise no_java(command[0], f"exit code {ended.returncode}", said)
        raise cause_of_death(configuration.parent, 0, said)
