"""Operators: each processes the records of one partition as its declaration says."""
