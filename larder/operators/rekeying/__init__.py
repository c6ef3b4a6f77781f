"""Rekeying: passes events and rows to the partition of another field."""
