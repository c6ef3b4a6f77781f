"""Reads tables: rows, ranges, indexes and progress."""
