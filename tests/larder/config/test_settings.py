"""Settings: their origins, and refused values."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from larder.cli.main import larder
from larder.config.errors import MistakeError
from larder.config.settings import SETTINGS, load_settings
from larder.local_broker.occupancy import Running, enter, occupy


def test_a_variable_is_not_suggested_for_its_prefix_alone(tmp_path: Path) -> None:
    with pytest.raises(MistakeError, match=r"setting LARDER_FOO .* larder settings lists"):
        load_settings({"LARDER_FOO": "1"}, tmp_path)
    with pytest.raises(MistakeError, match=r"did you mean LARDER_WEB_PORT\?"):
        load_settings({"LARDER_WEB_PRT": "1"}, tmp_path)


def test_without_a_file_or_variables_every_setting_has_its_default(tmp_path: Path) -> None:
    settings, origins, _ = load_settings({}, tmp_path)
    assert settings.kafka == "127.0.0.1:9092"
    assert settings.web_host == "127.0.0.1"
    assert set(origins.values()) == {"default"}


def test_the_environment_overrides_the_file_and_the_file_the_default(tmp_path: Path) -> None:
    (tmp_path / "larder.toml").write_text('web_port = 8001\nblock_cache_mb = 7\nmodules = ["a", "b"]\n')
    settings, origins, _ = load_settings({"LARDER_WEB_PORT": "8002"}, tmp_path)
    assert (settings.web_port, settings.block_cache_mb, settings.write_buffer_mb) == (8002, 7, 64)
    assert settings.modules == ("a", "b")
    assert [origins[name] for name in ("web_port", "block_cache_mb", "write_buffer_mb")] == [
        "environment",
        "file",
        "default",
    ]


def test_a_file_elsewhere_is_named_by_a_variable(tmp_path: Path) -> None:
    path = tmp_path / "other.toml"
    path.write_text("session_timeout_s = 2\n")
    settings, *_ = load_settings({"LARDER_CONFIG": str(path)}, tmp_path)
    assert settings.session_timeout_s == 2.0
    assert settings.heartbeat == pytest.approx(0.4)


def test_settings_may_be_in_pyproject_toml(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "mine"\n')
    assert load_settings({}, tmp_path).path == tmp_path / "larder.toml"
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "mine"\n[tool.larder]\nweb_port = 8002\n')
    loaded = load_settings({}, tmp_path)
    assert (loaded.settings.web_port, loaded.origins["web_port"], loaded.path) == (
        8002,
        "file",
        tmp_path / "pyproject.toml",
    )


def test_settings_in_two_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.larder]\n")
    (tmp_path / "larder.toml").write_text("web_port = 8001\n")
    with pytest.raises(
        MistakeError, match=r"require one file; found larder.toml, and \[tool.larder\] in pyproject.toml"
    ):
        load_settings({}, tmp_path)


@pytest.mark.parametrize("table", ["tool = 1", "tool.larder = 1"])
def test_a_value_in_place_of_the_table_of_settings_is_refused(table: str, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(table)
    with pytest.raises(MistakeError, match=r"pyproject\.toml: requires a table (tool|larder)"):
        load_settings({}, tmp_path)


def test_kafka_is_set_by_its_own_variable(tmp_path: Path) -> None:
    settings, origins, _ = load_settings({"KAFKA": "one:9092,two:9092"}, tmp_path)
    assert settings.kafka == "one:9092,two:9092"
    assert origins["kafka"] == "environment"


def test_spaces_around_broker_addresses_are_removed(tmp_path: Path) -> None:
    assert load_settings({"KAFKA": " one:9092, two:9092 "}, tmp_path).settings.kafka == "one:9092,two:9092"
    (tmp_path / "larder.toml").write_text('kafka = "one:9092, two:9092"')
    assert load_settings({}, tmp_path).settings.kafka == "one:9092,two:9092"


def test_modules_are_separated_by_commas(tmp_path: Path) -> None:
    assert load_settings({"LARDER_MODULES": "mine, yours,"}, tmp_path).settings.modules == ("mine", "yours")


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"LARDER_WEB_PRT": "1"}, "setting LARDER_WEB_PRT (environment): .* did you mean LARDER_WEB_PORT"),
        ({"LARDER_WEB_PORT": "http"}, "requires a whole number, at least 0, at most 65535; found 'http'"),
        ({"LARDER_WEB_PORT": "70000"}, "at most 65535; found '70000'"),
        ({"LARDER_SESSION_TIMEOUT_S": "nan"}, "requires a number, at least 0.5, at most 86400; found 'nan'"),
        ({"LARDER_SESSION_TIMEOUT_S": "inf"}, "requires a number, at least 0.5, at most 86400; found 'inf'"),
        ({"LARDER_HEARTBEAT_S": "5"}, "requires at most a third of session_timeout_s.* found 5 and 6"),
        ({"KAFKA": "somewhere"}, "setting kafka: requires host:port.* found 'somewhere'"),
        ({"KAFKA": "127.0.0.1:99999"}, "setting kafka: .* port from 1 to 65535.* found '127.0.0.1:99999'"),
        ({"KAFKA": "one:9092,kafka..svc:9092"}, "setting kafka: requires host:port.* found 'kafka..svc:9092'"),
        ({"KAFKA": "kafka:٩٠٩٢"}, "setting kafka: requires host:port.* found 'kafka:٩٠٩٢'"),
        ({"KAFKA": "one:9092,,two:9092"}, "setting kafka: requires host:port.* found ''"),
        ({"LARDER_WEB_HOST": "a..b"}, "setting web_host: requires an address of this machine.* found 'a..b'"),
        ({"LARDER_WEB_ADDRESS": "a..b:80"}, "setting web_address: requires host, or host:port.* found 'a..b:80'"),
        ({"LARDER_WEB_ADDRESS": "a:99999"}, "setting web_address: .* port from 1 to 65535.* found 'a:99999'"),
        ({"LARDER_WORKER": "../up"}, 'setting worker: a name requires 1 to 100 of the characters .* found "../up"'),
        ({"LARDER_CONFIG": "/no/such.toml"}, "settings file /no/such.toml: requires TOML that can be read"),
    ],
)
def test_an_invalid_environment_is_refused(environment: dict[str, str], message: str, tmp_path: Path) -> None:
    with pytest.raises(MistakeError, match=message.replace("(", r"\(").replace(")", r"\)")):
        load_settings(environment, tmp_path)


@pytest.mark.parametrize("host", ["", "*", "0.0.0.0", "::", "::1", "127.0.0.1", "localhost", "worker-1.svc"])  # noqa: S104
def test_a_web_host_is_an_address_a_name_or_a_wildcard(host: str, tmp_path: Path) -> None:
    assert load_settings({"LARDER_WEB_HOST": host}, tmp_path).settings.web_host == host


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("web_prt = 1", "did you mean web_port"),
        ('web_port = "http"', "requires a whole number"),
        ("web_port = true", "requires a whole number"),
        ("web_port = 1.5", "requires a whole number"),
        ("modules = [1]", "in a file a list of texts"),
        ("web_port = ", "requires TOML that can be read"),
    ],
)
def test_an_invalid_file_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "larder.toml").write_text(text)
    with pytest.raises(MistakeError, match=message):
        load_settings({}, tmp_path)


def test_all_mistakes_are_reported_at_once(tmp_path: Path) -> None:
    (tmp_path / "larder.toml").write_text("web_prt = 1\nweb_port = -1\n")
    with pytest.raises(MistakeError) as refused:
        load_settings({"LARDER_NONE": "", "LARDER_BLOCK_CACHE_MB": "0"}, tmp_path)
    assert len(refused.value.problems) == 4


def test_each_setting_is_shown_with_value_and_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LARDER_WORKER", "ann")
    shown = CliRunner().invoke(larder, ["settings"], env={"COLUMNS": "120"})
    assert shown.exit_code == 0
    assert all(each.name in shown.output for each in SETTINGS)
    assert [line.split()[:3] for line in shown.output.splitlines() if line.startswith("worker ")] == [
        ["worker", "ann", "environment"]
    ]


def test_settings_show_the_running_local_brokers_address_unless_one_is_set(tmp_path: Path) -> None:
    def shown(**more: str) -> dict[str, str]:
        environment = {"LARDER_DIRECTORY": str(tmp_path), "KAFKA": None, **more}
        answer = CliRunner().invoke(larder, ["settings", "--json"], env=environment)
        found: dict[str, str] = json.loads(answer.stdout)["settings"]["kafka"]
        return found

    assert (shown()["value"], shown()["origin"]) == ("127.0.0.1:9092", "default")
    file = occupy(tmp_path / "broker")
    assert file is not None
    with file:
        enter(file, Running(os.getpid(), 45_678, 0))
        assert (shown()["value"], shown()["origin"]) == ("127.0.0.1:45678", "local broker")
        assert shown()["default"] == "127.0.0.1:9092"
        other = shown(KAFKA="kafka:9092")
    assert (other["value"], other["origin"]) == ("kafka:9092", "environment")
