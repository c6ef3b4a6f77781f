"""The errors of the store, one class for each kind, and the translation of RocksDB's errors.

RocksDB's errors differ by text only; this is the only module that reads it. Knows no rows and no topics.
"""

from pathlib import Path
from typing import Final

from larder.declaring.problems import LarderError, Problem
from larder.store.partition_state import State


class StoreError(LarderError):
    """A store cannot do what was asked; `problem` says what was found and what to do."""

    def __init__(self, problem: Problem) -> None:
        """Keep the problem, whose line is the message."""
        self.problem = problem
        super().__init__(str(problem))


class StoreFullError(StoreError):
    """The disk, a quota or a file-size limit does not allow more.

    Nothing of the refused batch is stored: rows, indexes and position did not change.
    Free some space, then start the worker again; it continues from its stored position.
    """


class StoreHeldError(StoreError):
    """Another process, or another table of this one, has the store open.

    Two workers need a data directory each. Stop the other one, or give this one a
    directory of its own.
    """


class StoreRefusedError(StoreError):
    """The directory holds the store of another topic or partition.

    Directories were swapped or copied. Nothing was changed: put them back, or remove
    the named one, and the table is read from the topic again.
    """


class StoreCorruptedError(StoreError):
    """Files of the store are damaged or missing.

    A followed table is rebuilt from its topic when it is opened the next time.
    """


class LimitError(StoreError):
    """The limit of an answer is too high, or below one."""


class InvalidRangeError(StoreError):
    """A bound is not of the type of the keys, or of the index field."""


class NoSuchIndexError(StoreError):
    """The topic's declaration has no index of that name."""


class NotYetError(StoreError):
    """A partition has not reached what the request requires; `state` has its position."""

    def __init__(self, problem: Problem, state: State) -> None:
        """Keep the state of the first such partition."""
        self.state = state
        super().__init__(problem)


class IndexBuildingError(NotYetError):
    """The index is still being built from local rows; try again when it is complete."""


class NotHeldError(StoreError):
    """The partition is not open on this worker."""


class InvalidTokenError(StoreError):
    """The text is not a token of a write, or one of another version."""


class OtherTopicError(StoreError):
    """The token is of another topic than the table: of another name, or created again since."""


class BehindError(NotYetError):
    """The table did not apply a write in time; try again, or ask another worker."""


class TooStaleError(NotYetError):
    """The table reached the end of its topic longer ago than the reader allows."""


# The texts of operating systems for ENOSPC, EDQUOT and EFBIG.
_FULL: Final = ("No space left", "Disk quota exceeded", "File too large")
_HELD: Final = ("lock hold by current process", "While lock file")
# RocksDB reports a damaged file as corruption, a missing one as "No such file".
_CORRUPTED: Final = ("Corruption", "No such file", "does not exist", "Previous error")


def translated(error: Exception, path: Path) -> StoreError:
    """Translate an error of RocksDB."""
    text = str(error)
    store = f"store {path}"
    if any(sign in text for sign in _FULL):
        do = "make room on that file system, then start the worker again"
        return StoreFullError(Problem(store, "a write requires room on disk", text, do))
    if any(sign in text for sign in _HELD):
        do = "stop the other process, or give this worker a data directory of its own"
        return StoreHeldError(Problem(store, "a store requires one process", text, do))
    if any(sign in text for sign in _CORRUPTED):
        do = "start the worker again; the table is then rebuilt from its topic"
        return StoreCorruptedError(
            Problem(store, "a store requires whole files", text, do),
        )
    do = "look at the file system and the permissions of that directory"
    return StoreError(Problem(store, "a store requires a working directory", text, do))
