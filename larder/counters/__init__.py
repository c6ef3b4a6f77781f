"""Counters that only rise: what a worker consumed, produced, and could not use."""
