"""What docker/ names is there: services, commands, files. Nothing is built here."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from yarl import URL

from larder.cli.main import larder
from larder.config.settings import SETTINGS
from larder.declaring.contexts import contexts
from larder.declaring.loading import load_services
from tests.package.installed import SOURCES

ROOT = Path(__file__).resolve().parents[1]
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker" / "compose.yml").read_text(encoding="utf-8"))
EVERYWHERE = "0.0.0.0"  # noqa: S104 - inside a container
WORKERS = {name: each for name, each in COMPOSE["services"].items() if each.get("command", [""])[0] == "worker"}


def test_a_broker_the_generator_the_outside_and_workers_of_all_services_are_composed() -> None:
    assert set(COMPOSE["services"]) == {"kafka", "generator", "outside", "counter", *WORKERS}
    assert {each["command"][1] for each in WORKERS.values()} == set(load_services())


@pytest.mark.scenario("3.8")
def test_each_context_has_a_network_of_its_own_and_the_broker_is_in_all() -> None:
    services = load_services()
    for each in WORKERS.values():
        assert each["networks"] == [services[each["command"][1]].context]
    found = contexts(list(services.values()))
    assert set(COMPOSE["networks"]) == {each.name for each in found} | {"owners"}
    assert set(COMPOSE["services"]["kafka"]["networks"]) == set(COMPOSE["networks"])


def test_the_page_finds_workers_of_its_own_network() -> None:
    page = COMPOSE["services"]["counter"]
    urls = {name: URL(url) for name, url in page["environment"].items()}
    assert f"{(story := urls.pop('STORY_URL')).authority}:8077" in COMPOSE["services"]["orders-1"]["ports"], story
    assert set(urls) == {"ORDERS_URL", "STOCK_URL", "PRICING_URL", "OUTSIDE_URL"}
    for url in urls.values():
        assert set(page["networks"]) <= set(COMPOSE["services"][url.host]["networks"])
    ports = {url.port for name, url in urls.items() if name != "OUTSIDE_URL"}
    assert ports == {int(each["environment"]["LARDER_WEB_PORT"]) for each in WORKERS.values()}


def test_a_worker_is_reached_by_its_own_name() -> None:
    for name, each in WORKERS.items():
        assert (each["environment"]["LARDER_WEB_HOST"], each["environment"]["LARDER_WEB_ADDRESS"]) == (EVERYWHERE, name)


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
    assert {name for each in WORKERS.values() for name in each["environment"]} <= known | {"OUTSIDE_URL"}


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
