"""Joins: a record with its rows, and records that wait for a row."""
