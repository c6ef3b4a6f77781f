"""Reading a table: rows, ranges, indexes, and how far it is."""
