"""The broker's jars are fetched once, and only with recorded hashes."""

from __future__ import annotations

import functools
import hashlib
import http.server
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from larder.config.errors import UnavailableError
from larder.local_broker.jars import ENDPOINT, fetched_jars, recorded_jars

if TYPE_CHECKING:
    from collections.abc import Iterator

JARS = {"one": b"the first jar", "two": b"the second jar"}
NOWHERE = "http://127.0.0.1:9/maven2"  # the discard port, on which nothing listens


class Repository(http.server.SimpleHTTPRequestHandler):
    """A Maven repository of files in a directory."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """The files of a repository, in Maven's layout."""
    for name, content in JARS.items():
        path = tmp_path / "repository" / "org" / "example" / name / "1.0" / f"{name}-1.0.jar"
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    return tmp_path / "repository"


@pytest.fixture
def repository(files: Path) -> Iterator[str]:
    """The address of the repository."""
    handler = functools.partial(Repository, directory=str(files))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """The recorded hashes of both jars."""
    path = tmp_path / "jars.txt"
    lines = [f"{hashlib.sha256(content).hexdigest()} org.example:{name}:1.0\n" for name, content in JARS.items()]
    path.write_text("".join(lines))
    return path


def test_jars_are_fetched_once_and_then_need_no_network(tmp_path: Path, repository: str, recorded: Path) -> None:
    fetched = fetched_jars(tmp_path / "cache", recorded=recorded, repository=repository)
    assert [path.read_bytes() for path in fetched] == list(JARS.values())
    assert fetched_jars(tmp_path / "cache", recorded=recorded, repository=NOWHERE) == fetched


def test_a_jar_with_another_hash_is_refused(tmp_path: Path, files: Path, repository: str, recorded: Path) -> None:
    next(files.rglob("two-1.0.jar")).write_bytes(b"something else")
    with pytest.raises(UnavailableError, match=r"^jar two-1\.0\.jar .* requires SHA-256 [0-9a-f]{64}; found [^\n]*$"):
        fetched_jars(tmp_path / "cache", recorded=recorded, repository=repository)
    assert not list((tmp_path / "cache").rglob("two-1.0.jar"))


def test_a_damaged_jar_is_fetched_again(tmp_path: Path, repository: str, recorded: Path) -> None:
    first, _ = fetched_jars(tmp_path / "cache", recorded=recorded, repository=repository)
    first.write_bytes(b"cut off")
    fetched_jars(tmp_path / "cache", recorded=recorded, repository=repository)
    assert first.read_bytes() == JARS["one"]


def test_without_network_one_line_says_what_to_do(tmp_path: Path, recorded: Path) -> None:
    with pytest.raises(UnavailableError, match=r"^jar one[^\n]* refused; [^\n]*KAFKA=host:port[^\n]*$"):
        fetched_jars(tmp_path / "cache", recorded=recorded, repository=NOWHERE)


def test_an_untrusted_connection_names_the_way_out(tmp_path: Path, repository: str, recorded: Path) -> None:
    with pytest.raises(UnavailableError, match=r"^jar one[^\n]*; [^\n]*REQUESTS_CA_BUNDLE[^\n]*$"):
        fetched_jars(tmp_path / "cache", recorded=recorded, repository=repository.replace("http:", "https:"))


def test_a_missing_jar_is_named(tmp_path: Path, files: Path, repository: str, recorded: Path) -> None:
    next(files.rglob("one-1.0.jar")).unlink()
    with pytest.raises(UnavailableError, match=r"^jar one-1\.0\.jar [^\n]*$"):
        fetched_jars(tmp_path / "cache", recorded=recorded, repository=repository)


def test_the_recorded_jars_contain_the_broker() -> None:
    recorded = {f"{jar.group}:{jar.artifact}:{jar.version}" for jar in recorded_jars()}
    assert recorded >= set(ENDPOINT)
