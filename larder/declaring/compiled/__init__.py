"""Declarations as fast functions from bytes to bytes."""
