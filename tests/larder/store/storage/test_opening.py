"""A directory that is opened is continued, rebuilt or refused, for a reason."""

import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from larder import OwnerTopic, Row
from larder.store import Opened, StoreCorruptedError, StoreHeldError, StoreRefusedError, Table
from larder.store.layout import FORMAT, IDENTITY_KEY
from larder.store.storage.identity import StoreIdentity
from larder.store.storage.store import StoreBatch
from tests.larder.store.samples import Customer, by_partition, customers, opened, plain, plains, row, small_memory


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A data directory whose store of customers has one row of partition 0, at position 1."""
    table = opened(tmp_path)
    table.apply(0, [row(0, "c1", 1)])
    table.close()
    return tmp_path


def reopen(path: Path, topic: OwnerTopic = customers, topic_id: str | None = "id-1") -> tuple[Table, Opened]:
    table = Table(topic, path, small_memory(), "global")
    return table, table.open((0, 1), topic_id)[0]


def test_a_store_of_the_same_topic_is_continued(path: Path) -> None:
    table, how = reopen(path)
    assert how == Opened(path / "shop.customers" / "global", (0, 1), None)
    assert table.position(0) == 1


def test_a_topic_that_was_deleted_and_created_again_is_rebuilt(path: Path) -> None:
    table, how = reopen(path, topic_id="id-2")
    assert how.rebuilt == "topic shop.customers was deleted and created again (its id was id-1 and is id-2)"
    assert table.position(0) == 0
    assert table.raw(b"c1") is None
    table.close()
    assert reopen(path, topic_id="id-2")[1].rebuilt is None


def test_without_a_topic_id_the_last_copy_answers(path: Path) -> None:
    table, how = reopen(path, topic_id=None)
    assert how.rebuilt is None
    assert table.raw(b"c1") is not None


def test_a_store_made_without_a_broker_takes_the_topic_id_later(tmp_path: Path) -> None:
    reopen(tmp_path, topic_id=None)[0].close()
    reopen(tmp_path, topic_id="id-1")[0].close()
    assert reopen(tmp_path, topic_id="id-2")[1].rebuilt is not None


def rewritten(path: Path, value: bytes) -> None:
    table, _ = reopen(path)
    batch = StoreBatch()
    batch.put(IDENTITY_KEY, value)
    table.shard(0).store.write(batch)
    table.close()


def test_a_store_of_another_format_is_rebuilt(path: Path) -> None:
    table, _ = reopen(path)
    found = msgspec.json.decode(table.shard(0).store.get(IDENTITY_KEY) or b"", type=StoreIdentity)
    table.close()
    rewritten(path, msgspec.json.encode(msgspec.structs.replace(found, format=FORMAT + 1)))
    table, how = reopen(path)
    assert how.rebuilt == f"its format was {FORMAT + 1} and is {FORMAT}"
    assert table.position(0) == 0


def test_a_store_whose_identity_cannot_be_read_is_rebuilt(path: Path) -> None:
    rewritten(path, b"what is this")
    assert reopen(path)[1].rebuilt == "its format cannot be read"


def described() -> type[Row]:
    class Customer(Row):
        """The same rows under the same name, with another docstring."""

        customer_id: str
        name: str = ""
        country: str | None = None
        revision: int

    return Customer


class Grown(Customer):
    street: str | None = None


@pytest.mark.parametrize(
    ("topic", "rebuilt"),
    [
        (OwnerTopic("shop.customers", Customer, key="customer_id"), "its revision was 'revision' and is ''"),
        (OwnerTopic("shop.customers", Customer, key="name", revision="revision"), "its key was"),
        (OwnerTopic("shop.customers", Grown, key="customer_id", revision="revision"), "its row type was"),
        (OwnerTopic("shop.customers", described(), key="customer_id", revision="revision"), None),
    ],
)
def test_a_change_of_the_declaration_rebuilds_the_store(path: Path, topic: OwnerTopic, rebuilt: str | None) -> None:
    how = reopen(path, topic)[1]
    assert (how.rebuilt or "").startswith(rebuilt or "")
    assert (how.rebuilt is None) is (rebuilt is None)


def test_the_store_of_another_topic_is_refused_unchanged(path: Path) -> None:
    (path / "shop.customers").rename(path / "shop.plains")
    with pytest.raises(
        StoreRefusedError,
        match=r"must hold all partitions of shop.plains; found all partitions of shop.customers; put the directories",
    ):
        reopen(path, plains)
    (path / "shop.plains").rename(path / "shop.customers")
    assert reopen(path)[0].raw(b"c1") is not None


def test_swapped_directories_of_partitions_are_refused(tmp_path: Path) -> None:
    by_partition(tmp_path).close()
    stores = tmp_path / "shop.customers"
    (stores / "0").rename(stores / "x")
    (stores / "1").rename(stores / "0")
    (stores / "x").rename(stores / "1")
    with pytest.raises(StoreRefusedError, match=r"partition 0 of shop.customers; found partition 1 of shop.customers"):
        by_partition(tmp_path)


def test_a_store_that_another_process_has_open_is_refused_unchanged(path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        cwd=Path(__file__).parents[4],
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        with pytest.raises(StoreHeldError, match=r"requires one process; .*LOCK.*; stop the other process"):
            reopen(path, topic_id="id-2")
    finally:
        holder.communicate(b"\n")
    assert reopen(path)[1].rebuilt is None


HOLDER = """
import sys
from pathlib import Path
from tests.larder.store.samples import opened
table = opened(Path(sys.argv[1]))
print("open", flush=True)
sys.stdin.readline()
table.close()
"""


def test_a_store_cannot_be_open_twice_in_one_process(path: Path) -> None:
    table, _ = reopen(path)
    with pytest.raises(StoreHeldError):
        reopen(path)
    assert table.raw(b"c1") is not None


@pytest.mark.parametrize("file", ["CURRENT", "MANIFEST-*"])
@pytest.mark.parametrize("damage", ["garbage", "removed", "empty"])
def test_a_damaged_store_is_rebuilt(path: Path, file: str, damage: str) -> None:
    found = next((path / "shop.customers" / "global").glob(file))
    if damage == "removed":
        found.unlink()
    else:
        found.write_bytes(b"garbage" * 20 if damage == "garbage" else b"")
    table, how = reopen(path)
    assert how.rebuilt is not None
    assert "damaged" in how.rebuilt
    assert table.position(0) == 0
    table.apply(0, [row(0, "c1", 1)])
    assert table.raw(b"c1") is not None


def stored_in_files(path: Path) -> Path:
    """Return the only file of a store whose 2,000 rows were moved from the log into it."""
    table = opened(path)
    table.apply(0, [row(offset, f"c{offset}", 1, name="n" * 200) for offset in range(2_000)])
    table.shard(0).store._db.flush()
    table.close()
    return next((path / "shop.customers" / "global").glob("*.sst"))


def test_a_half_created_store_is_created_again_without_a_log_line(tmp_path: Path) -> None:
    """Leave a directory as a process that is killed before RocksDB has written CURRENT."""
    directory = tmp_path / "shop.customers" / "global"
    directory.mkdir(parents=True)
    for name in ("LOG", "IDENTITY", "MANIFEST-000001", "000001.dbtmp"):
        (directory / name).write_bytes(b"")
    table, how = reopen(tmp_path)
    assert how.rebuilt is None
    table.apply(0, [row(0, "c1", 1)])
    table.close()
    assert reopen(tmp_path)[0].position(0) == 1


def test_a_store_that_lacks_a_file_is_rebuilt(tmp_path: Path) -> None:
    stored_in_files(tmp_path).unlink()
    table, how = reopen(tmp_path)
    assert "damaged" in (how.rebuilt or "")
    assert table.position(0) == 0


def test_damage_found_while_reading_is_an_error_then_a_rebuild(tmp_path: Path) -> None:
    file = stored_in_files(tmp_path)
    damaged = bytearray(file.read_bytes())
    for at in range(0, len(damaged) // 2, 100):
        damaged[at] ^= 0xFF
    file.write_bytes(damaged)
    table, how = reopen(tmp_path)
    if how.rebuilt is None:
        with pytest.raises(StoreCorruptedError, match="start the worker again; the table is then rebuilt"):
            list(table.scan(limit=5_000))
        table.close()
        table, how = reopen(tmp_path)
    assert "damaged" in (how.rebuilt or "")
    assert table.position(0) == 0


def test_a_truncated_log_goes_back_to_a_whole_batch(tmp_path: Path) -> None:
    table = opened(tmp_path)
    for offset in range(10):
        table.apply(0, [row(offset, f"c{offset}", 1, country="AT")])
    copy = tmp_path / "copy"
    shutil.copytree(tmp_path / "shop.customers", copy / "shop.customers")
    table.close()
    log = max((copy / "shop.customers" / "global").glob("*.log"), key=lambda file: file.stat().st_size)
    log.write_bytes(log.read_bytes()[:-30])
    table, how = reopen(copy)
    assert how.rebuilt is None
    assert table.position(0) == 9
    assert len(list(table.by("country", "AT", limit=100))) == 9


def test_a_store_that_was_half_removed_leaves_nothing_behind(path: Path) -> None:
    store = path / "shop.customers" / "global"
    store.rename(store.with_name("global.discarded"))
    (store.with_name("global.discarded") / "CURRENT").unlink()
    table, how = reopen(path)
    assert how.rebuilt is None
    assert table.position(0) == 0
    table.discard(0)
    assert not [each for each in (path / "shop.customers").iterdir() if each.is_dir()]


def test_a_discarded_store_is_read_from_scratch(path: Path) -> None:
    table, _ = reopen(path)
    table.discard(0)
    assert table.partitions == []
    assert table.open((0, 1), "id-1")[0].rebuilt is None
    assert table.position(0) == 0


def test_new_partitions_of_a_topic_are_opened(path: Path) -> None:
    table, _ = reopen(path)
    assert table.open((0, 1, 2), "id-1") == []
    assert table.partitions == [0, 1, 2]
    table.apply(2, [row(0, "c9", 1)])
    assert table.position(2) == 1


def test_partitions_come_and_go_one_by_one(tmp_path: Path) -> None:
    table = by_partition(tmp_path)
    table.apply(0, [row(0, "a", 1)])
    table.apply(1, [row(0, "b", 1)])
    table.close(0)
    assert table.partitions == [1]
    assert table.raw(b"a") is None
    assert table.raw(b"b") is not None
    assert [how.partitions for how in table.open((0, 1), "id-1")] == [(0,)]
    assert table.raw_many([b"b", b"a", b"x"])[2] is None
    assert all(table.raw_many([b"b", b"a"]))


def test_two_topics_have_stores_of_their_own_in_one_directory(tmp_path: Path) -> None:
    first, second = opened(tmp_path), opened(tmp_path, plains)
    first.apply(0, [row(0, "c1", 1)])
    second.apply(0, [plain(0, "p1", "n")])
    assert second.raw(b"c1") is None
    assert first.raw(b"p1") is None
