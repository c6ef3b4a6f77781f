"""The settings of a process: one typed value, from defaults, a TOML file and environment variables, in that order.

Keeps each setting with its meaning and its bounds in one place; `larder settings` shows them. A name that nobody knows
is refused, since a mistyped setting would silently not be in force. May not know what the settings are used for.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_type_hints

from msgspec import Meta

from larder.config.addresses import HIGHEST_PORT, is_address, is_host
from larder.config.connection import Connection
from larder.config.errors import MistakeError
from larder.config.values import Setting, read
from larder.config.web_address import WILDCARDS
from larder.declaring.names import folder_problems
from larder.declaring.problems import Problem

PREFIX = "LARDER_"
FILE_VARIABLE = "LARDER_CONFIG"
FILE_NAME = "larder.toml"
PROJECT_FILE = "pyproject.toml"
KAFKA_VARIABLE = "KAFKA"

LONGEST_HEARTBEAT = 0.5
"""In seconds, unless another one is set: when a worker stops, its partitions wait until the others hear of it."""

Origin = Literal["default", "file", "environment", "local broker"]
"""The last one: the address of Kafka is that of the local broker, which runs."""


def _setting(default: Any, about: str) -> Any:
    return field(default=default, metadata={"about": about})


@dataclass(frozen=True)
class Settings:
    """What is in force. A name ends in its unit: `_s` seconds, `_ms` milliseconds, `_mb` megabytes of 2**20 bytes."""

    kafka: str = _setting(
        "127.0.0.1:9092",
        "addresses of Kafka, host:port with commas between; set nowhere: the local broker's",
    )
    modules: tuple[str, ...] = _setting(
        (), "modules that declare services; none given: those in the folders tables and agents of the working directory"
    )
    demo: str = _setting("app.demo", "module of the working directory that declares what larder demo runs")
    directory: Path = _setting(Path(".larder"), "where tables and the local broker keep their files")
    cache: Path = _setting(Path.home() / ".cache" / "larder", "where files that are fetched once are kept")
    worker: str = _setting("", "name of the worker and of its directory; none given: <service>-1")
    web_host: str = _setting("127.0.0.1", "address that the worker's web port is bound to")
    web_address: str = _setting(
        "",
        "host, or host:port, at which the other workers of a service reach this one's web port; none given: web_host,"
        " unless that stands for all addresses of the machine",
    )
    web_port: Annotated[int, Meta(ge=0, le=65535)] = _setting(0, "port on which the worker answers; 0 takes a free one")
    session_timeout_s: Annotated[float, Meta(ge=0.5, le=86_400)] = _setting(
        6.0,
        "a worker that is silent for so long loses its partitions; stock brokers refuse less than 6",
    )
    heartbeat_s: Annotated[float, Meta(ge=0)] = _setting(
        0.0,
        "time between signs of life, by which a worker also learns that partitions move; 0 takes a fifth of"
        " session_timeout_s, at most 0.5",
    )
    poll_interval_s: Annotated[float, Meta(ge=1, le=86_400)] = _setting(
        30.0, "a worker that fetches nothing for so long loses its partitions"
    )
    stall_s: Annotated[float, Meta(ge=1, le=86_400)] = _setting(
        30.0,
        "for so long a partition with lag may stand still before /health/live says no; longer for an agent whose"
        " batches take longer",
    )
    commit_interval_ms: Annotated[int, Meta(ge=1)] = _setting(
        200, "time between two commits of the positions in the inputs"
    )
    guarantee: Literal["exactly_once", "at_least_once"] = _setting(
        "exactly_once",
        "exactly_once: outputs and positions in one transaction; at_least_once: after a crash some outputs come again",
    )
    standby: Annotated[int, Meta(ge=0, le=1)] = _setting(
        0,
        "workers beside the one that processes a partition that keep a warm copy of its tables: 0 or 1; the same in"
        " all workers of a service",
    )
    on_stop: Literal["leave", "stay"] = _setting(
        "leave",
        "leave: a worker that stops hands its partitions over at once; stay: they wait for it, until"
        " session_timeout_s is over",
    )
    accept_lost_rows: tuple[str, ...] = _setting(
        (),
        "tables that may do without the rows that their row type cannot read, each as table:row type; a worker that"
        " holds inputs back says what to write",
    )
    block_cache_mb: Annotated[int, Meta(ge=1)] = _setting(
        64, "memory for rows being read, of all tables of the process"
    )
    write_buffer_mb: Annotated[int, Meta(ge=1)] = _setting(
        64, "memory for rows not yet in files, of all tables of the process"
    )

    @property
    def connection(self) -> Connection:
        """How to reach the brokers."""
        return Connection(self.kafka)

    @property
    def heartbeat(self) -> float:
        """The heartbeat in force, in seconds."""
        return self.heartbeat_s or min(self.session_timeout_s / 5, LONGEST_HEARTBEAT)


class Loaded(NamedTuple):
    """The settings in force, where each came from, by name, and the file that is looked at, if it is there."""

    settings: Settings
    origins: Mapping[str, Origin]
    path: Path


def _variable(name: str) -> str:
    return KAFKA_VARIABLE if name == "kafka" else PREFIX + name.upper()


_HINTS = get_type_hints(Settings, include_extras=True)
SETTINGS = tuple(
    Setting(each.name, _HINTS[each.name], each.default, _variable(each.name), **each.metadata)
    for each in fields(Settings)
)


def load_settings(environment: Mapping[str, str] = os.environ, directory: Path = Path()) -> Loaded:
    """Read what is in force for a process in `directory`; raises `MistakeError` that lists all that is wrong."""
    named = environment.get(FILE_VARIABLE)
    path, written = _file(Path(named)) if named else _found(directory)
    ours = {
        variable: text
        for variable, text in environment.items()
        if variable == KAFKA_VARIABLE or (variable.startswith(PREFIX) and variable != FILE_VARIABLE)
    }
    values: dict[str, Any] = {}
    origins: dict[str, Origin] = dict.fromkeys((each.name for each in SETTINGS), "default")
    problems: list[Problem] = []

    def take(origin: Origin, given: Mapping[str, Any], known: Mapping[str, Setting], place: str) -> None:
        for name, value in given.items():
            outcome = read(known[name], value, place) if name in known else _unknown(name, known, place)
            if isinstance(outcome, Problem):
                problems.append(outcome)
            else:
                values[known[name].name] = outcome
                origins[known[name].name] = origin

    take("file", written, {each.name: each for each in SETTINGS}, str(path))
    take("environment", ours, {each.variable: each for each in SETTINGS}, "environment")
    if "kafka" in values:
        values["kafka"] = ",".join(address.strip() for address in values["kafka"].split(","))
    settings = Settings(**values)
    problems += _contradictions(settings)
    if problems:
        raise MistakeError(*problems)
    return Loaded(settings, origins, path)


def _found(directory: Path) -> tuple[Path, dict[str, Any]]:
    """Give the file that has the settings of a directory, and what it says: larder.toml, or else pyproject.toml."""
    own, project = directory / FILE_NAME, directory / PROJECT_FILE
    table = _table(project) if project.is_file() else None
    if table is None:
        return _file(own) if own.is_file() else (own, {})
    if own.is_file():
        found = f"{FILE_NAME}, and [tool.larder] in {PROJECT_FILE}"
        problem = Problem(f"settings of {directory.absolute()}", "require one file", found, "leave one of them out")
        raise MistakeError(problem)
    return project, table


def _table(project: Path) -> dict[str, Any] | None:
    """Give `[tool.larder]` of a pyproject.toml; None where there is none."""
    _, found = _file(project)
    for name in ("tool", "larder"):
        if name not in found:
            return None
        found = found[name]
        if not isinstance(found, dict):
            problem = Problem(f"settings file {project}", f"requires a table {name}", f"{found!r}", "fix the file")
            raise MistakeError(problem)
    return found


def _file(path: Path) -> tuple[Path, dict[str, Any]]:
    try:
        return path, tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        found = str(error)
    problem = Problem(
        f"settings file {path}",
        "requires TOML that can be read",
        found,
        f"mend the file, or leave out {FILE_VARIABLE}",
    )
    raise MistakeError(problem)


def _unknown(name: str, known: Mapping[str, Setting], place: str) -> Problem:
    # The prefix that all variables share says nothing about which of them was meant.
    own = {each.removeprefix(PREFIX): each for each in known}
    near = [own[each] for each in difflib.get_close_matches(name.removeprefix(PREFIX), own, 1)]
    return Problem(
        f"setting {name} ({place})",
        "requires a setting of that name",
        "none",
        f"did you mean {near[0]}?" if near else "see larder settings for those that there are",
    )


def _contradictions(settings: Settings) -> list[Problem]:
    problems = [*_wrong_addresses(settings)]
    if settings.worker:
        problems += folder_problems("setting worker", settings.worker)
    if settings.heartbeat > settings.session_timeout_s / 3:
        problem = Problem(
            "setting heartbeat_s",
            "requires at most a third of session_timeout_s, or one lost heartbeat ends the session",
            f"{settings.heartbeat:g} and {settings.session_timeout_s:g}",
            "lower it, or leave it out",
        )
        problems.append(problem)
    return problems


def _wrong_addresses(settings: Settings) -> Iterator[Problem]:
    ports = f"with a port from 1 to {HIGHEST_PORT}"
    for address in settings.kafka.split(","):
        if not is_address(address, needs_port=True):
            requires = f"requires host:port {ports}, and commas between several"
            yield Problem("setting kafka", requires, repr(address), "correct KAFKA")
    if settings.web_address and not is_address(settings.web_address, needs_port=False):
        requires, do = f"requires host, or host:port {ports}", "give what other workers can connect to"
        yield Problem("setting web_address", requires, repr(settings.web_address), do)
    if settings.web_host not in WILDCARDS and not is_host(settings.web_host):
        requires, do = "requires an address of this machine, or a name", "correct it, or leave it out"
        yield Problem("setting web_host", requires, repr(settings.web_host), do)
