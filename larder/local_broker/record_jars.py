"""Writes `jars.txt` for a new version of the broker: `python -m larder.local_broker.record_jars`.

Resolves and fetches what `ENDPOINT` needs at run time, and records the hashes. A tool for developers only.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from pathlib import Path

from larder.local_broker.jars import ENDPOINT, RECORDED


def resolved_lines() -> list[str]:
    """Return one line for each jar, sorted by coordinate: SHA-256, then the coordinate."""
    from jgo.maven import MavenContext

    with tempfile.TemporaryDirectory() as directory:
        maven = MavenContext(repo_cache=Path(directory), local_repos=[])
        inputs, transitive = maven.resolver.resolve([maven.create_dependency(each) for each in ENDPOINT])
        needed = [*inputs, *(each for each in transitive if each.scope in {"compile", "runtime"})]
        artifacts = sorted((each.artifact for each in needed), key=str)
        return [
            f"{hashlib.sha256(each.resolve().read_bytes()).hexdigest()} {each.groupId}:{each.artifactId}:{each.version}"
            for each in artifacts
        ]


if __name__ == "__main__":
    RECORDED.write_text("\n".join(resolved_lines()) + "\n", encoding="utf-8")
    sys.stdout.write(f"{RECORDED} is written: read the diff before you commit it\n")
