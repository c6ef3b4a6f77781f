"""Clients of running workers and of the broker."""
