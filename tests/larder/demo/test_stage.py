"""Where the demo plays: what its workers are told, and what --fresh removes."""

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
    """The data directory of a user who has set nothing."""
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


def test_workers_beside_the_local_broker_notice_a_loss_early(directory: Path) -> None:
    told = Stage(directory, 0.0).environment(LOCAL, quick=True)
    assert (told["KAFKA"], told["LARDER_SESSION_TIMEOUT_S"]) == ("127.0.0.1:9092", "1.5")


def test_a_broker_of_the_user_may_refuse_short_sessions(directory: Path) -> None:
    assert "LARDER_SESSION_TIMEOUT_S" not in Stage(directory, 0.0).environment(Connection("kafka:9092"), quick=False)


def test_a_session_timeout_that_the_user_has_set_stays(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LARDER_SESSION_TIMEOUT_S", "3")
    assert "LARDER_SESSION_TIMEOUT_S" not in Stage(directory, 0.0).environment(LOCAL, quick=True)
