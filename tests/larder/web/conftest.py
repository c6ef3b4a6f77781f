"""Fixtures of several tests of the web port."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from larder.local_tables.table import LocalTable
from larder.store import Table
from tests.larder.store.samples import customers, small_memory
from tests.support.serving import NOW, local_table


@pytest.fixture
def held(tmp_path: Path) -> Iterator[LocalTable]:
    """A global table of two partitions, open and empty."""
    table = Table(customers, tmp_path, small_memory(), "global", lambda: NOW)
    table.open((0, 1), "id-1")
    yield local_table(table, 2)
    table.close()
