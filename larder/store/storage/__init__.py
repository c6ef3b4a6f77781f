"""One RocksDB directory: its rows, and what it keeps with them."""
