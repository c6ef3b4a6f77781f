"""The broker's jars: fetched once from Maven Central, and used only if their hashes match the recorded ones.

`jars.txt` beside this file has one line for each jar: SHA-256, then group:artifact:version. jgo resolved them from
`ENDPOINT`; `python -m larder.local_broker.record_jars` writes the file. Does not know what the jars are for.
"""

from __future__ import annotations

import hashlib
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from larder.config.errors import NO_ROOM, UnavailableError, no_room
from larder.declaring.problems import Problem

# slf4j-simple rather than -nop: if the broker does not start, only its log says why.
ENDPOINT = ("org.apache.kafka:kafka_2.13:4.1.1", "org.slf4j:slf4j-simple:1.7.36")
RECORDED = Path(__file__).with_name("jars.txt")
# The jars are small, so latency dominates: eight at a time take 3 to 12 s for 43 MB.
FETCHERS = 8
# Seconds to wait for the repository. Without a network the DNS lookup fails at once; a dead route takes this long.
ANSWER_TIMEOUT = 20


class Jar(NamedTuple):
    """One recorded jar."""

    sha256: str
    group: str
    artifact: str
    version: str

    @property
    def filename(self) -> str:
        """The name of the file in the cache, and in a Maven repository."""
        return f"{self.artifact}-{self.version}.jar"


def recorded_jars(path: Path = RECORDED) -> tuple[Jar, ...]:
    """Read the recorded jars, in the order of the file."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return tuple(Jar(sha256, *coordinate.split(":")) for sha256, coordinate in map(str.split, lines))


def fetched_jars(
    cache: Path,
    *,
    recorded: Path = RECORDED,
    repository: str | None = None,
) -> list[Path]:
    """Return the paths of all recorded jars, after fetching those that `cache` lacks.

    Hashes all jars on every call (43 MB in about 0.1 s), and fetches damaged ones again. `repository` replaces Maven
    Central, whose address jgo knows. Raises `UnavailableError` without a network or disk space, and if a hash differs.
    """
    directory = cache / "jars"
    jars = recorded_jars(recorded)
    lacking = [jar for jar in jars if not _is_recorded(directory / jar.filename, jar)]
    if lacking:
        try:
            _fetch(lacking, directory, repository)
        except OSError as error:
            if error.errno in NO_ROOM:
                raise no_room(directory, "jars of the local broker") from error
            raise
    return [directory / jar.filename for jar in jars]


def _is_recorded(path: Path, jar: Jar) -> bool:
    return path.exists() and _sha256(path) == jar.sha256


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fetch(jars: list[Jar], directory: Path, repository: str | None) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    # Fetched elsewhere, then renamed: neither an interrupted process nor a second one leaves half a jar.
    with (
        tempfile.TemporaryDirectory(dir=directory) as staging,
        ThreadPoolExecutor(FETCHERS) as fetchers,
    ):
        fetches = [fetchers.submit(_fetch_one, jar, directory, Path(staging), repository) for jar in jars]
        try:
            for fetch in fetches:
                fetch.result()
        except BaseException:
            fetchers.shutdown(cancel_futures=True)
            raise


def _fetch_one(jar: Jar, directory: Path, staging: Path, repository: str | None) -> None:
    # A broker that starts from a full cache needs neither jgo nor requests.
    import requests  # noqa: PLC0415
    from jgo.constants import MAVEN_CENTRAL_URL  # noqa: PLC0415
    from jgo.maven import MavenContext, PythonResolver  # noqa: PLC0415

    source = repository or MAVEN_CENTRAL_URL
    maven = MavenContext(
        resolver=PythonResolver(),
        repo_cache=staging,
        local_repos=[],
        remote_repos={"repository": source},
        timeout=ANSWER_TIMEOUT,
    )
    artifact = maven.project(jar.group, jar.artifact).at_version(jar.version).artifact()
    try:
        path = artifact.resolve()
    except (requests.RequestException, RuntimeError) as error:
        problem = Problem(
            f"jar {jar.filename} of the local broker",
            f"requires {source} to answer, once (later starts need no network)",
            _reason(error),
            _what_to_do(error),
        )
        raise UnavailableError(problem) from error
    found = _sha256(path)
    if found != jar.sha256:
        problem = Problem(
            f"jar {jar.filename} of the local broker",
            f"requires SHA-256 {jar.sha256}",
            f"{found} from {source}",
            "something between you and the repository changes files: try another network",
        )
        raise UnavailableError(problem)
    path.replace(directory / jar.filename)


def _what_to_do(error: Exception) -> str:
    import requests  # noqa: PLC0415

    if isinstance(error, requests.exceptions.SSLError):
        return "behind a proxy with its own certificates, set REQUESTS_CA_BUNDLE to them; or set KAFKA=host:port"
    return "check the network, or set KAFKA=host:port to use an existing broker"


def _reason(error: Exception) -> str:
    """Return the innermost cause, which requests and urllib3 wrap in three layers."""
    cause: BaseException = error
    while inner := cause.__cause__ or cause.__context__:
        cause = inner
    return str(cause).strip() or type(cause).__name__
