"""Rows that are sent to where another of their fields belongs."""
