from collections.abc import Iterator
from pathlib import Path

import pytest

from tables.engine import Table
from tests.tables.engine.samples import opened


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Table]:
    """A new global table of customers with partitions 0 and 1."""
    table = opened(tmp_path)
    yield table
    table.close()
