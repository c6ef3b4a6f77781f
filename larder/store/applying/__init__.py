"""Applies batches of records to a store."""
