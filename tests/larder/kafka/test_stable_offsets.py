"""Reading the broker's answer about committed offsets. The request is tested with transactions."""

from __future__ import annotations

import inspect
from types import SimpleNamespace

import pytest
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import GroupLoadInProgressError, NotCoordinatorForGroupError, UnknownError
from aiokafka.structs import OffsetAndMetadata, TopicPartition

from larder.kafka.stable_offsets import _read, all_offsets

ONE, TWO = TopicPartition("orders", 0), TopicPartition("orders", 1)


def answer(*partitions: tuple[int, int, int, str, int], error_code: int = 0) -> SimpleNamespace:
    """Partitions as (partition, offset, leader epoch, metadata, error code)."""
    return SimpleNamespace(error_code=error_code, topics=[("orders", [(*each, {}) for each in partitions], {})])


def test_offsets_are_committed_or_pending_or_neither() -> None:
    found = _read(answer((0, 7, -1, "id", 0), (1, -1, -1, "", 88), (2, -1, -1, "", 0), (3, -1, -1, "", 3)))
    assert found == ({ONE: OffsetAndMetadata(7, "id")}, [TWO])


@pytest.mark.parametrize(
    ("code", "error"), [(14, GroupLoadInProgressError), (16, NotCoordinatorForGroupError), (99, UnknownError)]
)
def test_an_error_of_the_group_does_not_pass_for_missing_offsets(code: int, error: type[Exception]) -> None:
    """A broker that has just restarted gives -1 for all partitions, and no error for any of them."""
    with pytest.raises(error):
        _read(answer((0, -1, -1, "", 0), error_code=code))
    with pytest.raises(error):
        _read(answer((0, -1, -1, "", code)))


def test_aiokafka_itself_ignores_the_error_of_the_group() -> None:
    """The fault that `_read` fixes: a worker took its offsets for lost while the coordinator was loading."""
    assert "response.error_code" not in inspect.getsource(GroupCoordinator._do_fetch_commit_offsets)


async def test_a_group_has_no_offsets_only_if_its_coordinator_says_so() -> None:
    """aiokafka's admin client returns none while they are being loaded: a mirror would lack the rows before them."""

    async def send(_: object) -> SimpleNamespace:
        return SimpleNamespace(error_code=14, topics=[])

    with pytest.raises(GroupLoadInProgressError):
        await all_offsets(send, "group")
