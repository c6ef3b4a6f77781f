"""The story of a key: what the records of all services say about it, in the order of time."""
