"""What a worker remembers between its runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from larder.assembly.memo import Memo
from larder.declaring.problems import LarderError
from larder.kafka.topic_metadata import Described


def test_a_memo_is_kept_across_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "worker.json"
    memo = Memo(path)
    assert (memo.committed, memo.partitions) == ({}, {})
    memo.remember_committed({"orders": "id-1"})
    memo.remember_partitions({"customers": 4})
    memo.remember_committed({"other": "id-2"})
    memo.remember_placed({"customers": Described("id-3", 4)})
    again = Memo(path)
    assert again.committed == {"orders": "id-1", "other": "id-2"}
    assert again.partitions == {"customers": 4}
    assert again.placed == {"customers": Described("id-3", 4)}


def test_known_facts_are_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "worker.json"
    memo = Memo(path)
    memo.remember_committed({"orders": "id-1"})
    path.unlink()
    memo.remember_committed({"orders": "id-1"})
    assert not path.exists()
    memo.remember_committed({"orders": "id-2"})
    assert Memo(path).committed == {"orders": "id-2"}


def test_an_interrupted_write_keeps_the_previous_memo(tmp_path: Path) -> None:
    path = tmp_path / "worker.json"
    Memo(path).remember_committed({"orders": "id-1"})
    path.with_suffix(".new").write_bytes(b'{"commit')
    assert Memo(path).committed == {"orders": "id-1"}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"committed": 7}'])
def test_an_unreadable_memo_is_refused_with_a_solution(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "worker.json"
    path.write_bytes(content)
    with pytest.raises(LarderError, match=r"worker\.json: requires the JSON that a worker wrote.*remove it"):
        Memo(path)
