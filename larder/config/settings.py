"""The settings of a process, from defaults, a TOML file and environment variables; the later ones win.

Each setting is defined only here, with its type, bounds and meaning; `larder settings` shows them. Unknown names are
rejected, since a mistyped setting would silently have no effect. Does not know what the settings are used for.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_type_hints

from msgspec import Meta

from larder.config.addresses import HIGHEST_PORT, is_address, is_host
from larder.config.connection import Connection
from larder.config.errors import MistakeError
from larder.config.settings_file import FILE_VARIABLE, read_toml, settings_file
from larder.config.values import Setting, read
from larder.config.web_address import WILDCARDS
from larder.declaring.names import folder_problems
from larder.declaring.problems import Problem

PREFIX = "LARDER_"
KAFKA_VARIABLE = "KAFKA"

LONGEST_HEARTBEAT = 0.5
"""In seconds. A stopped worker's partitions wait until the next heartbeat of the others."""

Origin = Literal["default", "file", "environment", "local broker"]
"""The last one is for the address of Kafka, if it is the address of the running local broker."""


def _setting(default: Any, about: str) -> Any:
    return field(default=default, metadata={"about": about})


@dataclass(frozen=True)
class Settings:
    """The settings in force. Names end in units: `_s` seconds, `_ms` milliseconds, `_mb` megabytes of 2**20 bytes."""

    kafka: str = _setting(
        "127.0.0.1:9092",
        "addresses of Kafka, host:port separated by commas; if not set, that of the local broker",
    )
    modules: tuple[str, ...] = _setting(
        (), "modules that declare services; if not set, those in the folders tables and agents of the working directory"
    )
    demo: str = _setting("app.demo", "module of the working directory that declares what larder demo runs")
    directory: Path = _setting(Path(".larder"), "where tables and the local broker keep their files")
    cache: Path = _setting(Path.home() / ".cache" / "larder", "where downloaded files are kept")
    worker: str = _setting("", "name of the worker and of its directory; if not set, <service>-1")
    web_host: str = _setting("127.0.0.1", "address to which the worker's web port is bound")
    web_address: str = _setting(
        "",
        "host, or host:port, at which the other workers of a service reach this one's web port; if not set, web_host,"
        " or nothing if that means all addresses of the machine",
    )
    web_port: Annotated[int, Meta(ge=0, le=65535)] = _setting(0, "web port of the worker; 0 takes a free one")
    session_timeout_s: Annotated[float, Meta(ge=0.5, le=86_400)] = _setting(
        6.0,
        "a worker without a heartbeat for this time loses its partitions; brokers refuse less than 6 by default",
    )
    heartbeat_s: Annotated[float, Meta(ge=0)] = _setting(
        0.0,
        "time between heartbeats, which also inform a worker of a rebalance; 0 takes a fifth of session_timeout_s,"
        " at most 0.5",
    )
    poll_interval_s: Annotated[float, Meta(ge=1, le=86_400)] = _setting(
        30.0, "a worker that does not poll for this time loses its partitions"
    )
    stall_s: Annotated[float, Meta(ge=1, le=86_400)] = _setting(
        30.0,
        "how long a partition with lag may stall before /health/live fails; raise it for an agent whose batches take"
        " longer",
    )
    commit_interval_ms: Annotated[int, Meta(ge=1)] = _setting(200, "time between two commits of the input offsets")
    guarantee: Literal["exactly_once", "at_least_once"] = _setting(
        "exactly_once",
        "exactly_once: outputs and offsets in one transaction; at_least_once: some outputs are repeated after a crash",
    )
    standby: Annotated[int, Meta(ge=0, le=1)] = _setting(
        0,
        "workers that keep a warm copy of a partition's tables beside the worker that processes it: 0 or 1; the same in"
        " all workers of a service",
    )
    on_stop: Literal["leave", "stay"] = _setting(
        "leave",
        "leave: a worker that stops hands over its partitions at once; stay: they wait for it, for session_timeout_s at"
        " most",
    )
    accept_lost_rows: tuple[str, ...] = _setting(
        (),
        "tables that may lose rows which their new row type cannot read, each as table:row type; a worker that holds"
        " inputs back for such rows logs what to write here",
    )
    block_cache_mb: Annotated[int, Meta(ge=1)] = _setting(
        64, "memory for blocks of rows that were read, shared by all tables of the process"
    )
    write_buffer_mb: Annotated[int, Meta(ge=1)] = _setting(
        64, "memory for rows that are not in files yet, shared by all tables of the process"
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
    """The settings in force, the origin of each by name, and the path of the file, which need not exist."""

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
    """Read the settings for a process in `directory`; raise `MistakeError` with all problems."""
    named = environment.get(FILE_VARIABLE)
    path, written = (Path(named), read_toml(Path(named))) if named else settings_file(directory)
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


def _unknown(name: str, known: Mapping[str, Setting], place: str) -> Problem:
    # All variables share the prefix, so it does not show which of them was meant.
    own = {each.removeprefix(PREFIX): each for each in known}
    near = [own[each] for each in difflib.get_close_matches(name.removeprefix(PREFIX), own, 1)]
    return Problem(
        f"setting {name} ({place})",
        "requires a setting of that name",
        "none",
        f"did you mean {near[0]}?" if near else "larder settings lists all settings",
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
