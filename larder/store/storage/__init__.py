"""One RocksDB directory, and what it has beside rows."""
