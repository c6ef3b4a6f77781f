"""The tables of the reference say what the program says."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import larder.doctor.audits
from larder import Decision, EventTopic, OwnerTopic
from larder.cli import commands
from larder.config.settings import SETTINGS
from larder.config.values import shown
from larder.counters.join_quality import JoinCounts
from larder.observability.metrics.catalogue import METRICS
from larder.store.partition_state import Phase
from larder.web.responses import KINDS
from larder.web.routes.openapi import whole
from tests.bench.report import KEYS
from tests.support.documents import ROOT, page, table


def test_the_settings_are_those_of_the_program() -> None:
    assert table(page("reference/settings"), "setting") == [
        [
            f"`{each.name}`",
            f"`{each.variable}`",
            each.requirement,
            _code(_default(each.default)),
            _escaped(each.about),
        ]
        for each in SETTINGS
    ]


def test_the_metrics_are_those_of_the_program() -> None:
    assert table(page("reference/metrics"), "metric") == [
        [f"`{each.name}`", each.kind, ", ".join(each.labels), each.meaning] for each in METRICS
    ]


def test_the_commands_are_those_of_the_program() -> None:
    modules = [each for each in pkgutil.iter_modules(commands.__path__) if not each.ispkg]
    listed = table(page("reference/commands"), "command")
    assert [name for name, _ in listed] == [f"`larder {each.name.replace('_', '-')}`" for each in modules]
    assert [help_text for _, help_text in listed] == [_first_line(each.name) for each in modules]


def test_the_benchmark_has_a_line_for_each_figure() -> None:
    assert [row[1] for row in table(page("explanation/benchmarks"), "what")] == [f"`{key.name}`" for key in KEYS]


def test_the_addresses_are_those_of_the_web_port() -> None:
    listed = [cell for row in table(page("reference/http"), "address") for cell in re.findall(r"`(/[^`?]*)`", row[0])]
    assert sorted(listed) == sorted(whole()["paths"])


def test_the_errors_are_those_of_the_web_port() -> None:
    assert [row[:2] for row in table(page("reference/http"), "type")] == [
        [f"`urn:larder:{kind}`", str(failure.status)] for kind, failure in KINDS.items()
    ]


def test_the_audits_are_those_of_doctor() -> None:
    package = larder.doctor.audits
    modules = [
        importlib.import_module(each.name) for each in pkgutil.iter_modules(package.__path__, package.__name__ + ".")
    ]
    assert sorted(row[0] for row in table(page("reference/doctor"), "audit")) == sorted(
        {f"`{module.AUDIT}`" for module in modules}
    )


def test_every_header_is_listed() -> None:
    text = page("reference/topics-and-headers")
    for path in (ROOT / "larder").rglob("*.py"):
        for header in re.findall(r'"(larder\.[a-z]+(?:-[a-z]+)*)"', path.read_text(encoding="utf-8")):
            if header not in {"larder.toml", "larder.owners", "larder.group"}:
                assert f"`{header}`" in text, header


def test_the_arguments_of_topics_are_those_of_the_program() -> None:
    listed = {row[0].strip("`"): row[1] for row in table(page("reference/topics-and-rows"), "argument")}
    events, rows = (set(inspect.signature(each).parameters) for each in (EventTopic, OwnerTopic))
    assert {name for name, topics in listed.items() if topics != "`OwnerTopic`"} == events
    assert {name for name, topics in listed.items() if topics != "`EventTopic`"} == rows


def test_the_fields_of_a_decision_are_those_of_the_program() -> None:
    listed = [row[0].strip("`") for row in table(page("reference/decides"), "field of `Decision`")]
    assert listed == list(Decision.__struct_fields__)


def test_the_states_and_counts_are_those_of_the_program() -> None:
    text = page("reference/worker-states")
    assert [row[0] for row in table(text, "state")] == [each.name.lower().replace("_", " ") for each in Phase]
    assert [row[0].strip("`") for row in table(text, "of a join")] == list(JoinCounts().as_dict())


def _first_line(command: str) -> str:
    """Return the help of a command: the first line of its module, which need not be imported for it."""
    path = Path(commands.__path__[0]) / f"{command}.py"
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]


def _default(value: object) -> str:
    return shown(value).replace(str(Path.home()), "~")


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _escaped(text: str) -> str:
    return text.replace("<", "&lt;").replace(">", "&gt;")
