"""One RocksDB directory, and what lies in it beside rows."""
