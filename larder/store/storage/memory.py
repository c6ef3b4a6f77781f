"""The memory of all stores of a process, in one place: one cache, one write budget.

Rows live on disk; what is kept in memory is bounded here, however many rows and
partitions there are. This module knows RocksDB's options and may not know tables.
"""

from typing import Final

from rocksdict import (
    BlockBasedOptions,
    Cache,
    DataBlockIndexType,
    DBCompressionType,
    Options,
    WriteBufferManager,
)

MIB: Final = 1 << 20
KIB: Final = 1 << 10

# The hot set of a join of some hundred thousand rows; see the targets of the benchmark.
CACHE_BYTES: Final = 128 * MIB
WRITE_BUFFER_BYTES: Final = 64 * MIB
# Two generations of some 110,000 rows of 150 bytes; what they cost as Python objects is
# counted. A hundred thousand customers asked for at random then stay in the young one.
HOT_ROW_BYTES: Final = 80 * MIB

# One memtable. Four partitions may have all of theirs full within the budget; with more
# the write budget flushes the one that is written when all together reach it.
_MEMTABLE_BYTES: Final = 16 * MIB
# With RocksDB's 10 bits, one file in a hundred is read for a key that it does not have:
# a restore in random order spent 0.5 us a row on that, and filled the cache with it (96 MB
# after a million rows; 18 MB with 16 bits).
_BLOOM_BITS: Final = 16
# What a memtable takes at a time. RocksDB's eighth of a memtable counts as used from the
# opening on: 56 stores were a full budget before their first row, each batch was flushed
# into a file of its own, and the files could not be written as fast (327 MB of buffers
# with 128 stores, at two thirds of the speed).
_ARENA_BYTES: Final = 64 * KIB
# Part of a memtable that is spent on a filter, without which a key that is not there
# costs a walk through each memtable.
_MEMTABLE_BLOOM: Final = 0.02
_BLOCK_BYTES: Final = 4 * KIB
# Large enough that ten million rows are a few dozen files, small enough that a file's
# index and filter are a small part of the cache.
_FILE_BYTES: Final = 32 * MIB
# The first level that is kept sorted as a whole. RocksDB's 256 MB made each merge into it
# so long that files piled up before it, each one more to ask for a key that is not there
# (1.4 us at four million rows, instead of 1.1).
_LEVEL_BYTES: Final = 64 * MIB
# A file that is not held open costs 100 us a get. A store of all partitions may have many;
# 64 stores of one partition each stay below the usual limit of 1,024 descriptors.
_OPEN_FILES_WHOLE: Final = 256
_OPEN_FILES_PART: Final = 14
_BACKGROUND_JOBS: Final = 2
# Restarting reads the log again: at most this much of it, about half a second.
_LOG_BYTES: Final = 64 * MIB


class Memory:
    """One block cache and one write-buffer budget, shared by all stores of a process.

    cache_bytes         decompressed blocks, their indexes and filters.
    write_buffer_bytes  rows that are in the log and not yet in a file.
    hot_row_bytes       rows of one table that were just read, as Python objects, shared
                        equally by its open stores (see `HotRows`).
    """

    def __init__(
        self,
        cache_bytes: int = CACHE_BYTES,
        write_buffer_bytes: int = WRITE_BUFFER_BYTES,
        hot_row_bytes: int = HOT_ROW_BYTES,
    ) -> None:
        """Set the three budgets; nothing is allocated until a store is opened."""
        self.hot_row_bytes = hot_row_bytes
        self._memtable_bytes = min(_MEMTABLE_BYTES, write_buffer_bytes // 2)
        # Of the two kinds, the one whose shards are large: a shard of the other holds 2 MB
        # here, an index or a filter of a large file did not fit, and each get read it
        # again (690 us instead of 9, with two million rows). The 0 lets RocksDB estimate.
        self._cache = Cache.new_hyper_clock_cache(cache_bytes, 0)
        # Not allowed to stall: a writer must not wait inside a slice of the event loop.
        self._buffers = WriteBufferManager(write_buffer_bytes, allow_stall=False)

    def used(self) -> dict[str, int]:
        """Give the bytes in use now, by name."""
        return {
            "cache_bytes": self._cache.get_usage(),
            "write_buffer_bytes": self._buffers.get_usage(),
        }

    def options(self, *, whole: bool) -> Options:
        """Give the options of one store: of a whole table, or of one partition."""
        options = Options(raw_mode=True)
        options.create_if_missing(create_if_missing=True)
        options.set_block_based_table_factory(self._blocks())
        options.set_write_buffer_manager(self._buffers)
        options.set_write_buffer_size(self._memtable_bytes)
        options.set_arena_block_size(_ARENA_BYTES)
        options.set_memtable_prefix_bloom_ratio(_MEMTABLE_BLOOM)
        options.set_memtable_whole_key_filtering(True)
        options.set_compression_type(DBCompressionType.lz4())
        options.set_max_open_files(_OPEN_FILES_WHOLE if whole else _OPEN_FILES_PART)
        options.set_target_file_size_base(_FILE_BYTES)
        options.set_max_bytes_for_level_base(_LEVEL_BYTES)
        options.set_max_background_jobs(_BACKGROUND_JOBS)
        options.set_max_total_wal_size(_LOG_BYTES)
        # RocksDB's own log: two small files are enough to ask what it did.
        options.set_keep_log_file_num(2)
        options.set_max_log_file_size(MIB)
        options.set_stats_dump_period_sec(0)
        options.set_stats_persist_period_sec(0)
        return options

    def _blocks(self) -> BlockBasedOptions:
        blocks = BlockBasedOptions()
        blocks.set_block_cache(self._cache)
        blocks.set_block_size(_BLOCK_BYTES)
        blocks.set_bloom_filter(_BLOOM_BITS, block_based=False)
        blocks.set_data_block_index_type(DataBlockIndexType.binary_and_hash())
        blocks.set_format_version(5)
        # Index and filters are blocks of the cache too, so that what they take is bounded
        # with the rest. Whole, not in parts: parts were measured to cost 0.5 us a get.
        blocks.set_cache_index_and_filter_blocks(True)
        blocks.set_pin_l0_filter_and_index_blocks_in_cache(True)
        return blocks
