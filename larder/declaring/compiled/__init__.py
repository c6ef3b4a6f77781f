"""Compiles declarations into fast functions from bytes to bytes."""
