"""Opens a store: continues with it, empties it first, or refuses it, as `identity.judge` decides.

Knows directories and identities, but no rows.
"""

import shutil
from pathlib import Path
from typing import Final

import msgspec

from larder.store.errors import StoreCorruptedError, StoreError, StoreHeldError, StoreRefusedError
from larder.store.layout import IDENTITY_KEY
from larder.store.storage.identity import StoreIdentity, judge
from larder.store.storage.memory import Memory
from larder.store.storage.served_before import UNKNOWN, counted, forget, remember, remembered
from larder.store.storage.store import DAMAGED, FaultPoint, Store, StoreBatch, connect, no_fault

# The name of a store that is being removed; half of one must never be opened.
_DISCARDED: Final = ".discarded"


def open_store(
    path: Path,
    memory: Memory,
    expected: StoreIdentity,
    fault: FaultPoint = no_fault,
) -> tuple[Store, str | None]:
    """Open the store of a directory; return the reason if it was emptied first.

    Raise StoreHeldError if another process has it, and StoreRefusedError if it is that of another topic or
    partition. A damaged one is emptied: its rows are in the topic.
    """
    if (path / DAMAGED).exists() or _lacks_current(path):
        return _rebuilt(path, memory, expected, fault), "its files were damaged"
    try:
        store = connect(path, memory.options(whole=expected.part == "global"), fault)
        found = _identity(store)
    except StoreCorruptedError as error:
        cause = f"its files were damaged ({error.problem.found})"
        return _rebuilt(path, memory, expected, fault), cause
    try:
        rebuilt = _prepared(store, found, expected)
    except StoreError:
        store.close()
        raise
    if rebuilt is None:
        return store, None
    store.close()
    return _rebuilt(path, memory, expected, fault), rebuilt


def _prepared(store: Store, found: StoreIdentity | None, expected: StoreIdentity) -> str | None:
    """Prepare an open store; return the reason if it has to be emptied."""
    path = store.path
    if _is_empty(store):
        remember(path, remembered(path) or UNKNOWN)
        _sign(store, expected)
        return None
    verdict = judge(found, expected, str(path))
    if verdict.refuse is not None:
        raise StoreRefusedError(verdict.refuse)
    if verdict.rebuild is None:
        if found is not None and found.topic_id is None:
            _sign(store, expected)
    elif found is not None and found.is_other_topic(expected):
        forget(path)
    else:
        remember(path, counted(store))
    return verdict.rebuild


def _lacks_current(path: Path) -> bool:
    """Return whether RocksDB would start from scratch beside files that may have rows; a new store has none yet."""
    if not path.exists() or (path / "CURRENT").exists():
        return False
    return any(found.suffix in {".log", ".sst"} for found in path.iterdir())


def _rebuilt(
    path: Path,
    memory: Memory,
    expected: StoreIdentity,
    fault: FaultPoint,
) -> Store:
    """Empty a directory and start from scratch.

    Takes the lock first, in any way that a damaged store allows: a directory that another process has open is never
    emptied.
    """
    try:
        connect(path, memory.options(whole=expected.part == "global"), fault).close()
    except StoreHeldError:
        raise
    except Exception:  # noqa: BLE001, S110  damaged, which is why it is emptied
        pass
    remember(path, UNKNOWN)
    discard(path)
    store = connect(path, memory.options(whole=expected.part == "global"), fault)
    _sign(store, expected)
    return store


def discard(path: Path) -> None:
    """Remove a closed store; it is renamed first, so that half of it is never opened."""
    discarded = path.with_name(path.name + _DISCARDED)
    shutil.rmtree(discarded, ignore_errors=True)
    path.rename(discarded)
    shutil.rmtree(discarded)


def topic_id(store: Store) -> str | None:
    """Return the id of an open store's topic; None if no broker has reported it yet."""
    found = _identity(store)
    return None if found is None else found.topic_id


def _identity(store: Store) -> StoreIdentity | None:
    try:
        stored = store.get(IDENTITY_KEY)
    except StoreCorruptedError:
        store.close()
        raise
    try:
        return None if stored is None else msgspec.json.decode(stored, type=StoreIdentity)
    except msgspec.MsgspecError:
        return None


def _is_empty(store: Store) -> bool:
    return next(store.scan(b"", None), None) is None


def _sign(store: Store, identity: StoreIdentity) -> None:
    batch = StoreBatch()
    batch.put(IDENTITY_KEY, msgspec.json.encode(identity))
    store.write(batch)
