"""The memory of all stores of a process: one cache and one write budget.

Rows live on disk; this module bounds what is in memory, however many rows and partitions there are. Knows RocksDB's
options, but no tables.
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

# The hot set of a join with some hundred thousand rows; see the targets of the benchmark.
CACHE_BYTES: Final = 128 * MIB
WRITE_BUFFER_BYTES: Final = 64 * MIB
# Two generations of some 110,000 rows of 150 bytes, including the cost of Python objects.
# A hundred thousand customers that are looked up at random then stay in the young one.
HOT_ROW_BYTES: Final = 80 * MIB

# One memtable. Four partitions can fill theirs within the budget; with more, the write
# budget flushes the current one when all together reach it.
_MEMTABLE_BYTES: Final = 16 * MIB
# With RocksDB's 10 bits, one file in a hundred is read for a key that it does not have.
# That cost a restore in random order 0.5 us a row, and filled the cache (96 MB after a
# million rows; 18 MB with 16 bits).
_BLOOM_BITS: Final = 16
# The allocation unit of a memtable. RocksDB's default, an eighth of a memtable, counts as
# used from the opening: 56 stores used up the budget before their first row, each batch was
# flushed into a file of its own, and writing the files fell behind (327 MB of buffers with
# 128 stores, at two thirds of the speed).
_ARENA_BYTES: Final = 64 * KIB
# The share of a memtable for a filter, without which a missing key costs a search of each
# memtable.
_MEMTABLE_BLOOM: Final = 0.02
_BLOCK_BYTES: Final = 4 * KIB
# Large enough for ten million rows in a few dozen files, and small enough that a file's
# index and filter take a small part of the cache.
_FILE_BYTES: Final = 32 * MIB
# The size of the first sorted level. With RocksDB's 256 MB each merge into it took so long
# that files piled up before it, and every missing key had to be looked up in each of them
# (1.4 us at four million rows, instead of 1.1).
_LEVEL_BYTES: Final = 64 * MIB
# A file that is not open costs 100 us a get. A store of all partitions may have many; 64
# stores of one partition each stay below the usual limit of 1,024 descriptors.
_OPEN_FILES_WHOLE: Final = 256
_OPEN_FILES_PART: Final = 14
_BACKGROUND_JOBS: Final = 2
# A restart replays at most this much of the log, in about half a second.
_LOG_BYTES: Final = 64 * MIB


class Memory:
    """One block cache and one write-buffer budget, shared by all stores of a process.

    cache_bytes         decompressed blocks, their indexes and filters.
    write_buffer_bytes  rows that are in the log but not in a file yet.
    hot_row_bytes       recently read rows of one table as Python objects, divided equally
                        among its open stores (see `HotRows`).
    """

    def __init__(
        self,
        cache_bytes: int = CACHE_BYTES,
        write_buffer_bytes: int = WRITE_BUFFER_BYTES,
        hot_row_bytes: int = HOT_ROW_BYTES,
    ) -> None:
        """Set the three budgets; memory is allocated when a store is opened."""
        self.hot_row_bytes = hot_row_bytes
        self._memtable_bytes = min(_MEMTABLE_BYTES, write_buffer_bytes // 2)
        # HyperClockCache has large shards. A shard of the other kind has 2 MB here: the index or
        # the filter of a large file did not fit, and each get read it again (690 us instead of 9,
        # with two million rows). With 0, RocksDB estimates.
        self._cache = Cache.new_hyper_clock_cache(cache_bytes, 0)
        # Without stalls: a writer must not wait inside a slice of the event loop.
        self._buffers = WriteBufferManager(write_buffer_bytes, allow_stall=False)

    def used(self) -> dict[str, int]:
        """Return the used bytes, by name."""
        return {
            "cache_bytes": self._cache.get_usage(),
            "write_buffer_bytes": self._buffers.get_usage(),
        }

    def options(self, *, whole: bool) -> Options:
        """Return the options of a store, of a whole table or of one partition."""
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
        # Two small files of RocksDB's own log are enough.
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
        # Indexes and filters are blocks of the cache, too, so that their memory is bounded.
        # Whole rather than partitioned, which costs 0.5 us a get as measured.
        blocks.set_cache_index_and_filter_blocks(True)
        blocks.set_pin_l0_filter_and_index_blocks_in_cache(True)
        return blocks
