"""What is known of a group while its broker has just been started."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from larder.config.connection import Connection
from larder.kafka.admin import Cluster
from larder.kafka.foreign_members import GroupMembers
from tests.support.brokers import local_broker


@pytest.fixture
def new_broker(tmp_path: Path) -> Iterator[str]:
    with local_broker(tmp_path) as address:
        yield address


async def test_a_new_broker_answers_questions_about_a_group_once_it_has_a_coordinator(new_broker: str) -> None:
    async with Cluster(Connection(new_broker)) as cluster:
        assert await cluster.committed("nobody") == {}
        assert await cluster.reports("nobody") == []
        assert await cluster.service_group("nobody") == GroupMembers((), ())
