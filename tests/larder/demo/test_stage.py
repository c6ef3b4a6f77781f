"""Where the demo runs: the settings of its workers, and what --fresh removes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from larder.config.connection import Connection
from larder.demo.stage import Stage, forget

if TYPE_CHECKING:
    from pathlib import Path

LOCAL = Connection("127.0.0.1:9092")


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data directory of a user without any settings."""
    monkeypatch.chdir(tmp_path)
    for name in ("KAFKA", "LARDER_SESSION_TIMEOUT_S"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / ".larder"


def test_fresh_removes_topics_and_tables_of_the_demo_and_nothing_else(directory: Path) -> None:
    for each in ("broker/data", "tables/shipping/shipping-1", "tables/fulfilment/fulfilment-1", "tables/mine/one"):
        (directory / each).mkdir(parents=True)
    forget(directory, ["shipping", "fulfilment"])
    assert sorted(str(each.relative_to(directory)) for each in directory.glob("*/*")) == ["tables/mine"]
    assert (directory / "tables/mine/one").exists()


def test_workers_on_the_local_broker_detect_a_lost_worker_early(directory: Path) -> None:
    settings = Stage(directory, 0.0).environment(LOCAL, quick=True)
    assert (settings["KAFKA"], settings["LARDER_SESSION_TIMEOUT_S"]) == ("127.0.0.1:9092", "1.5")


def test_sessions_are_not_shortened_on_the_users_broker(directory: Path) -> None:
    assert "LARDER_SESSION_TIMEOUT_S" not in Stage(directory, 0.0).environment(Connection("kafka:9092"), quick=False)


def test_a_session_timeout_set_by_the_user_is_kept(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LARDER_SESSION_TIMEOUT_S", "3")
    assert "LARDER_SESSION_TIMEOUT_S" not in Stage(directory, 0.0).environment(LOCAL, quick=True)
