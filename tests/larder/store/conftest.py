from collections.abc import Iterator
from pathlib import Path

import pytest

from larder.store import Table
from tests.larder.store.samples import opened


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Table]:
    """A new global table of customers with partitions 0 and 1."""
    table = opened(tmp_path)
    yield table
    table.close()
