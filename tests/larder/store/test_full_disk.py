"""A full disk: a clear error, nothing half written, and progress after it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from larder.store import StoreFullError
from larder.store.storage.store import DAMAGED
from tests.larder.store.samples import customers, opened, row, stricter

# A limit on the size of files stands for a full disk: RocksDB's log reaches it.
WRITER = """
import json, resource, signal, sys
from pathlib import Path
from larder.store import StoreFullError
from tests.larder.store.samples import opened, row

table = opened(Path(sys.argv[1]))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 18, resource.RLIM_INFINITY))
offset = 0
try:
    while offset < 100_000:
        table.apply(0, [row(offset + at, f"c{offset + at}", 1, country="AT", name="n" * 100) for at in range(10)])
        offset += 10
except StoreFullError as error:
    error_text = str(error)
seen = {"error_text": error_text, "offset": offset, "position": table.position(0), "state": table.state(0).position}
seen["rows"] = table.sizes().rows
seen["late"] = table.raw(b"c%d" % offset) is not None
seen["last"] = table.raw(b"c%d" % (offset - 1)) is not None
print(json.dumps(seen))
"""


def test_a_full_disk_is_a_clear_error_and_changes_nothing(tmp_path: Path) -> None:
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", WRITER, str(tmp_path)],
        capture_output=True,
        check=True,
        cwd=root,
        timeout=60,
    )
    found = json.loads(done.stdout)
    assert "a write requires room on disk; found IO error" in found["error_text"]
    assert "make room on that file system, then start the worker again" in found["error_text"]
    assert found["offset"] == found["position"] == found["state"] == found["rows"] > 0
    assert found["last"]
    assert not found["late"]

    table = opened(tmp_path)
    assert table.position(0) == found["offset"]
    assert len(list(table.by("country", "AT", limit=10_000))) == found["offset"]


def fill_disk(directory: Path) -> Path:
    """Leave no room for the file with the count of rows; return the path that takes it."""
    taken = directory / "shop.customers" / "global.new"
    taken.parent.mkdir(parents=True, exist_ok=True)
    taken.symlink_to("/dev/full")
    return taken


def test_a_full_disk_keeps_a_store_from_being_removed(tmp_path: Path) -> None:
    table = opened(tmp_path)
    table.apply(0, [row(0, "c1", 1)])
    fill_disk(tmp_path)
    with pytest.raises(StoreFullError, match="requires room on disk"):
        table.discard(0)
    assert table.raw(b"c1") is not None


@pytest.mark.parametrize("damaged", [False, True])
def test_a_full_disk_keeps_a_store_from_being_emptied(tmp_path: Path, *, damaged: bool) -> None:
    table = opened(tmp_path)
    table.apply(0, [row(0, "c1", 1)])
    table.close()
    mark, full = tmp_path / "shop.customers" / "global" / DAMAGED, fill_disk(tmp_path)
    if damaged:
        mark.touch()
    with pytest.raises(StoreFullError, match="requires room on disk"):
        opened(tmp_path, customers if damaged else stricter)
    mark.unlink(missing_ok=True)
    full.unlink()
    assert opened(tmp_path).raw(b"c1") is not None


def test_a_full_disk_keeps_a_store_from_being_created(tmp_path: Path) -> None:
    full = fill_disk(tmp_path)
    with pytest.raises(StoreFullError, match="requires room on disk"):
        opened(tmp_path)
    full.unlink()
    assert opened(tmp_path).sizes().rows == 0
