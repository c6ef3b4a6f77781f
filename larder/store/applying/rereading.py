"""Full reads: a partition is read from the start of its log again, and rows that it no longer has are removed.

Works on one shard; its caller decides when a log has to be read again. Knows no consumers and no other shards.
"""

from collections.abc import Mapping

from larder.store.applying.indexes import entries
from larder.store.layout import ROW, FullRead, FullReadStage, Mark, pack_mark, position_key
from larder.store.shard import Shard
from larder.store.storage.store import StoreBatch


def read_again(shard: Shard, partition: int, first: int, now: float) -> None:
    """Go back to the start of a partition's log; rows that the read does not find are removed at its end.

    `first` is that start, `now` in seconds since 1970. The partition is measured again, and caught up only after all
    of that. A store without rows is read for the first time.
    """
    read, mark, state = shard.reads.of(partition), shard.marks[partition], shard.states[partition]
    unfinished = 0 if read is None or read.stage is FullReadStage.DONE else read.before
    begun = FullRead(FullReadStage.READING, first, now, max(mark.position, unfinished))
    batch = StoreBatch()
    unreadable = shard.unreadable.clear(batch, partition)
    _write(shard, batch, {partition: begun}, {partition: mark._replace(position=first)})
    shard.unreadable.counts = unreadable
    state.begun_again(first)


def reached_end(shard: Shard, partition: int) -> None:
    """Report that the log was read to its end; older rows that were not found are removed from now on."""
    read = shard.reads.of(partition)
    if read is None or read.stage is not FullReadStage.READING:
        return
    stage, state = FullReadStage.SWEEPING if read.before else FullReadStage.DONE, shard.states[partition]
    mark = shard.marks[partition]._replace(at_end=state.at_end or 0.0)
    _write(shard, StoreBatch(), {partition: read._replace(stage=stage)}, {partition: mark})
    if stage is FullReadStage.DONE:
        state.swept()


def sweep(shard: Shard, max_rows: int) -> list[bytes] | None:
    """Check the next rows, and remove those that are gone; return their keys, or None if there is nothing left.

    Takes about 2 us for each of `max_rows`. Rows, index entries and counts change together.
    """
    sweeping = shard.reads.sweeping
    if not sweeping:
        return None
    batch, found = StoreBatch(), shard.reads.look(sweeping, max_rows)
    marks = {}
    for partition, rows in found.rows.items():
        marks[partition] = shard.marks[partition]._replace(rows=shard.marks[partition].rows - len(rows))
        for key, stored in rows.items():
            for gone in (ROW + key, *entries(stored, key, shard.shape)):
                batch.delete(gone)
    ended = {partition: read._replace(stage=FullReadStage.DONE) for partition, read in sweeping.items() if found.last}
    _write(shard, batch, ended, marks)
    keys = [key for rows in found.rows.values() for key in rows]
    shard.hot.forget(set(keys))
    for partition in ended:
        shard.states[partition].swept()
    return keys


def _write(shard: Shard, batch: StoreBatch, reads: Mapping[int, FullRead], marks: Mapping[int, Mark]) -> None:
    """Write a batch with full reads and marks, and keep these."""
    for partition, read in reads.items():
        shard.reads.put(batch, partition, read)
    for partition, mark in marks.items():
        batch.put(position_key(partition), pack_mark(mark))
    shard.store.write(batch)
    shard.reads.keep(reads)
    shard.marks.update(marks)
