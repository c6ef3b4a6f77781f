"""Checks of declarations, one module for each kind. Pure."""
