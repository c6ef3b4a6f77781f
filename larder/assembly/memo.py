"""What a worker remembers between its runs besides its stores: one small file in its directory.

The file has the inputs with committed offsets, so that their loss is noticed. It has the partition counts of tables, so
that the worker can answer from its copies without a broker. It has the partition counts by which records are placed, so
that a change is noticed.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from larder.declaring.generations import Generation
from larder.declaring.problems import LarderError, Problem
from larder.kafka.topic_metadata import Described


class Remembered(msgspec.Struct):
    """`committed`: topic id by input topic. `partitions`: partition count by table topic.

    `placed`: by topic, its id and the partition count that it had when this worker first read it. `generation`: the
    last one that this worker has read, so that it finds its copies without a broker.
    """

    committed: dict[str, str] = {}
    partitions: dict[str, int] = {}
    placed: dict[str, Described] = {}
    generation: Generation | None = None


class Memo:
    """Reads the file once, and rewrites it whenever something new has to be remembered."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._content = _read(path)

    @property
    def committed(self) -> dict[str, str]:
        return self._content.committed

    @property
    def partitions(self) -> dict[str, int]:
        return self._content.partitions

    @property
    def placed(self) -> dict[str, Described]:
        return self._content.placed

    @property
    def generation(self) -> Generation | None:
        return self._content.generation

    def remember_generation(self, generation: Generation) -> None:
        if generation != self._content.generation:
            self._content.generation = generation
            self._write()

    def remember_committed(self, topic_ids: dict[str, str]) -> None:
        if not topic_ids.items() <= self._content.committed.items():
            self._content.committed.update(topic_ids)
            self._write()

    def remember_partitions(self, counts: dict[str, int]) -> None:
        if not counts.items() <= self._content.partitions.items():
            self._content.partitions.update(counts)
            self._write()

    def remember_placed(self, topics: dict[str, Described]) -> None:
        if not topics.items() <= self._content.placed.items():
            self._content.placed.update(topics)
            self._write()

    def _write(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        new = self._path.with_suffix(".new")
        new.write_bytes(msgspec.json.encode(self._content))
        new.replace(self._path)


def _read(path: Path) -> Remembered:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Remembered)
    except FileNotFoundError:
        return Remembered()
    except msgspec.DecodeError as error:
        raise LarderError(
            str(Problem(
                f"file {path}",
                "requires the JSON that a worker wrote",
                str(error),
                "remove it; inputs without a committed offset are then read from the start",
            ))
        ) from error  # fmt: skip
