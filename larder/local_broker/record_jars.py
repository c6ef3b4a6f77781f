"""Write `jars.txt` again after the broker's version was changed: `python -m larder.local_broker.record_jars`.

Resolves what `ENDPOINT` needs at run time, fetches it and keeps the hashes. Run by a developer, never by a user.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from pathlib import Path

from larder.local_broker.jars import ENDPOINT, RECORDED


def resolved_lines() -> list[str]:
    """Give one line for each jar: SHA-256, then the coordinate; sorted by coordinate."""
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
    sys.stdout.write(f"{RECORDED} is written: read its difference before committing it\n")
