"""What docker/ names is there: services, commands, files. Nothing is built here."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from larder.cli.main import larder
from larder.config.settings import SETTINGS
from larder.declaring.loading import load_services
from tests.package.installed import SOURCES

ROOT = Path(__file__).resolve().parents[1]
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker" / "compose.yml").read_text(encoding="utf-8"))
WORKERS = {name: each for name, each in COMPOSE["services"].items() if each.get("command", [""])[0] == "worker"}


def test_a_broker_two_workers_of_shipping_one_of_fulfilment_and_the_generator_are_composed() -> None:
    assert sorted(COMPOSE["services"]) == ["fulfilment-1", "generator", "kafka", "shipping-1", "shipping-2"]


@pytest.mark.parametrize("name", WORKERS)
def test_each_worker_runs_a_service_that_there_is_with_a_command_that_larder_takes(name: str) -> None:
    command, service, *options = WORKERS[name]["command"]
    assert service in load_services()
    found = larder.get_command(larder.make_context("larder", [], resilient_parsing=True), command)
    assert found is not None
    assert found.make_context(command, [service, *options]).params["name"] == name
    assert [volume.split(":")[0] for volume in WORKERS[name]["volumes"]] == [name]


def test_volumes_are_declared_and_settings_exist() -> None:
    services = COMPOSE["services"].values()
    used = {volume.split(":")[0] for each in services for volume in each.get("volumes", ())}
    assert used == set(COMPOSE["volumes"])
    known = {each.variable for each in SETTINGS}
    assert {name for each in WORKERS.values() for name in each["environment"]} <= known


def test_the_generator_is_a_module_that_there_is() -> None:
    python, option, module = COMPOSE["services"]["generator"]["entrypoint"]
    assert (python, option) == ("python", "-m")
    assert importlib.util.find_spec(module) is not None


def test_the_image_is_made_of_files_that_there_are() -> None:
    copied = re.findall(r"^COPY (?!--from)(\S+)", DOCKERFILE, re.MULTILINE)
    assert set(SOURCES) <= set(copied)
    let_through = (ROOT / "docker" / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    for name in copied:
        assert (ROOT / name).exists(), name
        assert f"!{name}" in let_through


def test_the_image_has_no_packages_for_development_and_no_root() -> None:
    assert re.findall(r"-r (\S+)", DOCKERFILE) == ["requirements/run.txt"]
    assert re.search(r"^USER larder$", DOCKERFILE, re.MULTILINE)
