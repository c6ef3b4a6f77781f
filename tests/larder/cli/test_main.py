"""The command line as a whole: help, errors, exit codes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from larder.cli.main import Commands, larder
from larder.config.errors import AppError, MistakeError, UnavailableError
from larder.config.settings import SETTINGS
from larder.declaring.problems import DeclarationError, LarderError, Problem
from tests.support.workers import ROOT

PROBLEM = Problem("a thing", "requires something", "nothing", "give it")


def test_help_names_every_command_and_imports_none_of_them() -> None:
    program = (
        "import sys; from click.testing import CliRunner; from larder.cli.main import larder\n"
        "print(CliRunner().invoke(larder, ['--help']).output)\n"
        "print(sorted(name for name in sys.modules if name.startswith(('larder.cli.commands.', 'faust', 'aiokafka'))))"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert re.search(r"broker +Start, stop or inspect the local Kafka broker\.", ended.stdout)
    assert ended.stdout.rstrip().endswith("[]")


def test_every_command_can_be_loaded_and_explains_itself() -> None:
    context = click.Context(larder)
    for name in larder.list_commands(context):
        shown = CliRunner().invoke(larder, [name, "--help"])
        assert shown.exit_code == 0, name
        assert "Usage" in shown.output, name


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (MistakeError(PROBLEM), 2),
        (UnavailableError(PROBLEM), 3),
        (DeclarationError([PROBLEM]), 2),
    ],
)
def test_an_error_for_the_user_is_one_line_and_an_exit_code(error: LarderError, exit_code: int) -> None:
    @click.command("fails")
    def fails() -> None:
        raise error

    class OneCommand(Commands):
        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:  # noqa: ARG002
            return fails

    group = OneCommand("root")
    ended = CliRunner().invoke(group, ["fails"])
    assert ended.exit_code == exit_code
    assert ended.stderr == "larder: a thing: requires something; found nothing; give it\n"


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (("get", "shop.custmers", "c1"), 2, "table shop.custmers: requires a declared table; found none of that name"),
        (
            ("get", "shop.customers", "c1"),
            3,
            "table shop.customers, key c1: requires a worker that knows the answer; found no local worker at all",
        ),
        (("topics",), 3, "broker 127.0.0.1:1 (setting kafka): requires a Kafka broker that answers there"),
        (("broker", "start"), 3, "broker 127.0.0.1:1 (setting kafka): requires a Kafka broker that answers there"),
        (("broker", "stop"), 2, "larder broker stop: requires the local broker"),
        (("publish", "shop.custmers"), 2, "topic shop.custmers: requires a declared topic"),
        (("get", "shop.customers"), 2, "Missing argument 'KEY'."),
        (("many", "shop.customers"), 2, "Missing argument 'KEY...'."),
        (("many", "shop.customers", "c1"), 3, "table shop.customers, 1 key: requires a worker that knows the answer"),
        (("scan", "shop.custmers"), 2, "table shop.custmers: requires a declared table; found none of that name"),
        (("by", "shop.customers", "city", "Rome"), 3, "table shop.customers, a list of rows: requires a worker"),
        (("watch", "shop.customers"), 3, "table shop.customers, its changes: requires a worker that knows the answer"),
        (("get", "shop.customers", "c1", "--at", "http://a..b:80"), 2, "--at: requires http://host:port"),
        (("get", "shop.customers", "c1", "--at", "http://a:99999"), 2, "--at: requires http://host:port"),
        (("scan", "shop.customers", "--at", "localhost"), 2, "--at: requires http://host:port; found 'localhost'"),
        (("dead-letters", "list", "shiping"), 2, "service shiping: requires a declared service"),
        (("dead-letters", "list", "shipping"), 3, "broker 127.0.0.1:1 (setting kafka): requires a Kafka broker"),
        (("dead-letters", "list", "shipping", "--limit", "0"), 2, "Invalid value for '--limit'"),
        (
            ("dead-letters", "show", "shipping", "orders/1"),
            2,
            "dead letter orders/1: requires an id as topic/partition",
        ),
        (("dead-letters", "replay", "shipping"), 2, "larder dead-letters replay: requires letters; found none"),
        (
            ("dead-letters", "discard", "shipping", "t/0/1", "--all"),
            2,
            "larder dead-letters discard: requires letters or",
        ),
        (("refusals", "shiping"), 2, "service shiping: requires a declared service"),
        (("refusals", "shipping"), 3, "broker 127.0.0.1:1 (setting kafka): requires a Kafka broker"),
        (("tables", "--nothing"), 2, "No such option: --nothing"),
        (("brokr",), 2, "No such command 'brokr'."),
    ],
)
def test_a_failing_command_reports_the_error_as_json_with_json(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: tuple[str, ...], exit_code: int, message: str
) -> None:
    monkeypatch.setenv("KAFKA", "127.0.0.1:1")
    monkeypatch.setenv("LARDER_DIRECTORY", str(tmp_path))
    result = CliRunner().invoke(larder, [*arguments, "--json"])
    assert result.exit_code == exit_code
    (line,) = result.stdout.splitlines()
    assert json.loads(line)["error"].startswith(message)
    assert message in result.stderr
    assert CliRunner().invoke(larder, arguments).stdout == ""


def test_details_follow_the_error_line() -> None:
    assert str(AppError(PROBLEM, details="one\ntwo")).splitlines() == [str(PROBLEM), "one", "two"]


def test_an_unknown_command_exits_with_2() -> None:
    ended = CliRunner().invoke(larder, ["brokr"])
    assert ended.exit_code == 2
    assert "No such command 'brokr'" in ended.stderr


def test_the_installed_command_answers_in_json_without_a_terminal() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "larder", "settings", "--json"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "LARDER_WEB_PORT": "8123"},
    )
    assert ended.stderr == ""
    assert json.loads(ended.stdout)["settings"]["web_port"]["value"] == 8123


def test_settings_are_not_shortened_in_a_pipe() -> None:
    command = [sys.executable, "-m", "larder", "settings"]
    environment = {**os.environ, "COLUMNS": "40", "LARDER_WEB_PORT": "8123"}
    ended = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    (line,) = [line for line in ended.stdout.splitlines() if line.startswith("web_port ")]
    (about,) = [each.about for each in SETTINGS if each.name == "web_port"]
    assert line.split(maxsplit=2)[:2] == ["web_port", "8123"]
    assert line.endswith(about)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="requires /dev/full, a file that takes nothing")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_an_error_that_cannot_be_printed_still_sets_the_exit_code(tmp_path: Path, unbuffered: str) -> None:
    with Path("/dev/full").open("wb") as nowhere:
        command = [sys.executable, "-m", "larder", "worker", "nobody"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": unbuffered}
        ended = subprocess.run(command, cwd=tmp_path, stderr=nowhere, env=environment, check=False)
    assert ended.returncode == 2


@pytest.mark.parametrize("kafka", ["127.0.0.1:99999", "kafka..svc:9092"])
@pytest.mark.parametrize("command", [("worker", "shipping"), ("topics",), ("doctor",), ("broker", "start")])
def test_an_invalid_address_ends_a_command_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: tuple[str, ...], kafka: str
) -> None:
    monkeypatch.setenv("KAFKA", kafka)
    monkeypatch.setenv("LARDER_DIRECTORY", str(tmp_path))
    result = CliRunner().invoke(larder, command)
    assert result.exit_code == 2
    assert (
        f"setting kafka: requires host:port with a port from 1 to 65535, and commas between several; found '{kafka}'"
        in (result.output)
    )
