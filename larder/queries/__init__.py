"""Answers from the tables of this worker: rows, lists, changes. Knows no HTTP."""
