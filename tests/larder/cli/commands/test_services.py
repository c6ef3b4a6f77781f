"""`larder services` from the answers of workers, without any."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from larder.cli.commands import services
from larder.client.local_workers import LocalWorker, Reply
from larder.config import declared
from tests.larder.pages.samples import growth, status
from tests.support.audited import shop


def asked(monkeypatch: pytest.MonkeyPatch, bodies: list[dict[str, Any]], *arguments: str) -> Result:
    """Run the command where workers answer these."""
    replies = [Reply(LocalWorker("shipping", body["worker"], 7, "http://here"), 200, body) for body in bodies]
    monkeypatch.setattr(services, "workers_at", lambda _: [])
    monkeypatch.setattr(services, "ask_all", lambda *_: replies)
    monkeypatch.setattr(declared, "declared_services", lambda _: {"shipping": shop()[0]})
    return CliRunner().invoke(services.command, [*arguments], catch_exceptions=False)


def test_a_growth_is_shown_in_one_line_with_the_progress_of_all_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    bodies = [status("one", growth=growth()), status("two", growth=growth(expected_s=20.0)), status("three")]
    lines = asked(monkeypatch, bodies).stdout.splitlines()
    assert lines[1] == "  being scaled to 6 partitions: copying, 2,400 of 10,000 offsets, about 20 s left"
    (found,) = msgspec.json.decode(asked(monkeypatch, bodies, "--json").stdout)["services"]
    assert found["growth"] == growth(copied=2_400, to_copy=10_000, expected_s=20.0)


def test_a_service_that_was_never_scaled_has_no_such_line(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "scaled" not in asked(monkeypatch, [status("one")]).stdout
    (found,) = msgspec.json.decode(asked(monkeypatch, [status("one")], "--json").stdout)["services"]
    assert found["growth"] is None
